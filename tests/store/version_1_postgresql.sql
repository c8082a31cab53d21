-- The tables of schema version 1, as SQLAlchemy made them.
CREATE TABLE osanas_measurements (
  id SERIAL NOT NULL,
  key_digest VARCHAR(80) NOT NULL,
  network VARCHAR(200) NOT NULL,
  key JSON NOT NULL,
  result JSON NOT NULL,
  measured_at FLOAT(53) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (key_digest, network)
);

CREATE TABLE osanas_schema (
  version SERIAL NOT NULL,
  PRIMARY KEY (version)
);

CREATE TABLE osanas_studies (
  id SERIAL NOT NULL,
  name VARCHAR(200) NOT NULL,
  identity JSON NOT NULL,
  config JSON NOT NULL,
  device JSON NOT NULL,
  created_at FLOAT(53) NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name)
);

CREATE TABLE osanas_candidates (
  id SERIAL NOT NULL,
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
  id SERIAL NOT NULL,
  study_id INTEGER NOT NULL,
  host VARCHAR(255) NOT NULL,
  boot_id VARCHAR(80) NOT NULL,
  pid INTEGER NOT NULL,
  process_started FLOAT(53) NOT NULL,
  expires_at FLOAT(53) NOT NULL,
  reserved BOOLEAN NOT NULL,
  trial INTEGER,
  PRIMARY KEY (id),
  UNIQUE (study_id, trial),
  FOREIGN KEY(study_id) REFERENCES osanas_studies (id)
);

CREATE TABLE osanas_evaluations (
  id SERIAL NOT NULL,
  study_id INTEGER NOT NULL,
  candidate_id INTEGER NOT NULL,
  epochs INTEGER NOT NULL,
  trial INTEGER,
  status VARCHAR(16) NOT NULL,
  reason_kind VARCHAR(40),
  reason TEXT,
  accuracy FLOAT(53),
  latency_ms FLOAT(53),
  energy_mj FLOAT(53),
  energy_source VARCHAR(16),
  started_at FLOAT(53) NOT NULL,
  finished_at FLOAT(53),
  training_seconds FLOAT(53),
  PRIMARY KEY (id),
  UNIQUE (candidate_id, epochs),
  UNIQUE (study_id, trial),
  FOREIGN KEY(study_id) REFERENCES osanas_studies (id),
  FOREIGN KEY(candidate_id) REFERENCES osanas_candidates (id)
);

CREATE TABLE osanas_duplicates (
  id SERIAL NOT NULL,
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
  train_loss FLOAT(53) NOT NULL,
  val_loss FLOAT(53) NOT NULL,
  val_accuracy FLOAT(53) NOT NULL,
  seconds FLOAT(53) NOT NULL,
  PRIMARY KEY (evaluation_id, epoch),
  FOREIGN KEY(evaluation_id) REFERENCES osanas_evaluations (id)
);
