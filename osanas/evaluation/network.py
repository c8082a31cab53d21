"""The evaluator that builds, measures and trains real networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from osanas.arch import Architecture
from osanas.config import StudyConfig
from osanas.costs import count_costs
from osanas.evaluation.evaluator import CandidateCosts, Trained
from osanas.measure.device import identify, resolve_device
from osanas.measure.energy import open_meter
from osanas.measure.measurement import Measurement, key_digest, measure, measurement_key
from osanas.measure.protocol import MeasurementProtocol
from osanas.models.analytic import check_resolution, stem_reduction_for
from osanas.models.build import build
from osanas.models.classifier import Classifier
from osanas.store.records import CurvePoint
from osanas.store.store import Store
