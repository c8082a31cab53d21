-- The tables of schema version 1, as SQLAlchemy made them.
CREATE TABLE osanas_measurements (
  id INTEGER NOT NULL,
  key_digest VARCHAR(80) NOT NULL,
  network VARCHAR(200) NOT NULL,
  "key" JSON NOT NULL,
  result JSON NOT NULL,
  measured_at FLOAT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (key_digest, network)
);

CREATE TABLE osanas_schema (
  version INTEGER NOT NULL,
  PRIMARY KEY (version)
);

CREATE TABLE osanas_studies (
  id INTEGER NOT NULL,
  name VARCHAR(200) NOT NULL,
  identity JSON NOT NULL,
  config JSON NOT NULL,
  device JSON NOT NULL,
  created_at FLOAT NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name)
);

CREATE TABLE osanas_candidates (
  id INTEGER NOT NULL,
  study_id INTEGER NOT NULL,
  digest VARCHAR(80) NOT NULL,
  architecture JSON NOT NULL,
  parameters BIGINT,
  multiply_adds BIGINT,
  memory_access_elements BIGINT,
  PRIMARY KEY (id),
  UNIQUE (study_id, digest),
  FOREIGN KEY(study_id) REFERENCES osanas_studies (id)
);

CREATE TABLE osanas_leases (
  id INTEGER NOT NULL,
  study_id INTEGER NOT NULL,
  host VARCHAR(255) NOT NULL,
  boot_id VARCHAR(80) NOT NULL,
  pid INTEGER NOT NULL,
  process_started FLOAT NOT NULL,
  expires_at FLOAT NOT NULL,
  reserved BOOLEAN NOT NULL,
  trial INTEGER,
  PRIMARY KEY (id),
  UNIQUE (study_id, trial),
  FOREIGN KEY(study_id) REFERENCES osanas_studies (id)
);

CREATE TABLE osanas_evaluations (
  id INTEGER NOT NULL,
  study_id INTEGER NOT NULL,
  candidate_id INTEGER NOT NULL,
  epochs INTEGER NOT NULL,
  trial INTEGER,
  status VARCHAR(16) NOT NULL,
  reason_kind VARCHAR(40),
  reason TEXT,
  accuracy FLOAT,
  latency_ms FLOAT,
  energy_mj FLOAT,
  energy_source VARCHAR(16),
  started_at FLOAT NOT NULL,
  finished_at FLOAT,
  training_seconds FLOAT,
  PRIMARY KEY (id),
  UNIQUE (candidate_id, epochs),
  UNIQUE (study_id, trial),
  FOREIGN KEY(study_id) REFERENCES osanas_studies (id),
  FOREIGN KEY(candidate_id) REFERENCES osanas_candidates (id)
);

CREATE TABLE osanas_duplicates (
  id INTEGER NOT NULL,
  study_id INTEGER NOT NULL,
  trial INTEGER NOT NULL,
  evaluation_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (study_id, trial),
  FOREIGN KEY(study_id) REFERENCES osanas_studies (id),
  FOREIGN KEY(evaluation_id) REFERENCES osanas_evaluations (id)
);

CREATE TABLE osanas_epochs (
  evaluation_id INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  train_loss FLOAT NOT NULL,
  val_loss FLOAT NOT NULL,
  val_accuracy FLOAT NOT NULL,
  seconds FLOAT NOT NULL,
  PRIMARY KEY (evaluation_id, epoch),
  FOREIGN KEY(evaluation_id) REFERENCES osanas_evaluations (id)
);
