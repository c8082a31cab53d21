-- A search that was cut off in its last training, under schema version 3, as SQLite dumps it.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
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
INSERT INTO "osanas_candidates" VALUES(1,1,'a1:72acc54c95b1a6c8','{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 2, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 2}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": true}',5200,52000000000,520);
INSERT INTO "osanas_candidates" VALUES(2,1,'a1:dc89b2d301336d90','{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 2, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": false}',4400,44000000000,440);
INSERT INTO "osanas_candidates" VALUES(3,1,'a1:d4eb5cb15a69dad9','{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 2}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": true}',4400,44000000000,440);
INSERT INTO "osanas_candidates" VALUES(4,1,'a1:c927f97ba953d13d','{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 2, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 2}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": false}',5200,52000000000,520);
INSERT INTO "osanas_candidates" VALUES(5,1,'a1:8b1c7d825ba7067e','{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": false}',3600,36000000000,360);
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
INSERT INTO "osanas_duplicates" VALUES(1,1,4,4);
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
INSERT INTO "osanas_epochs" VALUES(1,1,7.01749167180081179218e-01,1.20174916718008129024e+00,2.98250832819918820781e-01,0.1);
INSERT INTO "osanas_epochs" VALUES(2,1,4.48978707448695280035e-01,9.48978707448695280035e-01,5.51021292551304719964e-01,0.1);
INSERT INTO "osanas_epochs" VALUES(3,2,4.11816451368647751252e-01,9.11816451368647751252e-01,5.88183548631352248747e-01,0.1);
INSERT INTO "osanas_epochs" VALUES(4,1,5.26686347822246325733e-01,1.02668634782224632573e+00,4.73313652177753618754e-01,0.1);
INSERT INTO "osanas_epochs" VALUES(5,1,2.29237130522808141286e-01,7.29237130522808141286e-01,7.70762869477191858713e-01,0.1);
INSERT INTO "osanas_epochs" VALUES(6,2,1.77179248684709911287e-01,6.77179248684709911287e-01,8.22820751315290088712e-01,0.1);
INSERT INTO "osanas_epochs" VALUES(7,1,0.576605757346656,1.07660575734665586722e+00,0.423394242653344,0.1);
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
	measurement_key VARCHAR(80), 
	started_at FLOAT NOT NULL, 
	finished_at FLOAT, 
	training_seconds FLOAT, 
	PRIMARY KEY (id), 
	UNIQUE (candidate_id, epochs), 
	UNIQUE (study_id, trial), 
	FOREIGN KEY(study_id) REFERENCES osanas_studies (id), 
	FOREIGN KEY(candidate_id) REFERENCES osanas_candidates (id)
);
INSERT INTO "osanas_evaluations" VALUES(1,1,1,1,0,'complete',NULL,NULL,2.98250832819918820781e-01,0.52,1.04,'estimated','table',1.79563616786464881895e+09,1.79563616788575744626e+09,0.1);
INSERT INTO "osanas_evaluations" VALUES(2,1,2,1,1,'complete',NULL,NULL,5.51021292551304719964e-01,0.44,0.88,'estimated','table',1.79563616797442531587e+09,1.79563616798358392711e+09,0.1);
INSERT INTO "osanas_evaluations" VALUES(3,1,2,2,2,'complete',NULL,NULL,5.88183548631352248747e-01,0.44,0.88,'estimated','table',1.79563616802902245518e+09,1.79563616805232024193e+09,0.2);
INSERT INTO "osanas_evaluations" VALUES(4,1,3,1,3,'complete',NULL,NULL,4.73313652177753618754e-01,0.44,0.88,'estimated','table',1.79563616811041545863e+09,1.79563616811878657341e+09,0.1);
INSERT INTO "osanas_evaluations" VALUES(5,1,4,1,5,'complete',NULL,NULL,7.70762869477191858713e-01,0.52,1.04,'estimated','table',1.79563616824520945547e+09,1.7956361682576744556e+09,0.1);
INSERT INTO "osanas_evaluations" VALUES(6,1,4,2,6,'complete',NULL,NULL,8.22820751315290088712e-01,0.52,1.04,'estimated','table',1.79563616832372260098e+09,1.79563616835786461832e+09,0.2);
INSERT INTO "osanas_evaluations" VALUES(7,1,5,1,7,'running',NULL,NULL,NULL,0.36,0.72,'estimated','table',1.79563616843829345704e+09,NULL,NULL);
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
INSERT INTO "osanas_leases" VALUES(1,1,'vm','ebe3d01f-d999-41b6-a3e1-761be000a739:4026531836',8908,14810.44,1795636227.0,1,7);
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
INSERT INTO "osanas_measurements" VALUES(1,'table','a1:72acc54c95b1a6c8','{}','{"latency_ms": 0.52, "energy_mj": 1.04, "energy_source": "estimated"}',1.79563616787520813943e+09);
INSERT INTO "osanas_measurements" VALUES(2,'table','a1:dc89b2d301336d90','{}','{"latency_ms": 0.44, "energy_mj": 0.88, "energy_source": "estimated"}',1.79563616797781634335e+09);
INSERT INTO "osanas_measurements" VALUES(3,'table','a1:d4eb5cb15a69dad9','{}','{"latency_ms": 0.44, "energy_mj": 0.88, "energy_source": "estimated"}',1.79563616811356353752e+09);
INSERT INTO "osanas_measurements" VALUES(4,'table','a1:c927f97ba953d13d','{}','{"latency_ms": 0.52, "energy_mj": 1.04, "energy_source": "estimated"}',1.795636168250131607e+09);
INSERT INTO "osanas_measurements" VALUES(5,'table','a1:8b1c7d825ba7067e','{}','{"latency_ms": 0.36, "energy_mj": 0.72, "energy_source": "estimated"}',1.79563616844151163103e+09);
CREATE TABLE osanas_references (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	key_digest VARCHAR(80) NOT NULL, 
	latency_ms FLOAT NOT NULL, 
	flags JSON NOT NULL, 
	measured_at FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(study_id) REFERENCES osanas_studies (id)
);
CREATE TABLE osanas_schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "osanas_schema" VALUES(3);
CREATE TABLE osanas_studies (
	id INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	identity JSON NOT NULL, 
	config JSON NOT NULL, 
	device JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	revision INTEGER NOT NULL, 
	search_key VARCHAR(80), 
	final_key VARCHAR(80), 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "osanas_studies" VALUES(1,'s','{"space": {"name": "few", "stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": {"choices": [1, 2]}, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": {"choices": [1, 2]}}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": {"choices": [false, true]}}, "objectives": ["accuracy", "latency_ms", "energy_mj"], "rungs": [1, 2], "table": "digest", "energy_source": "estimated"}','{"max_latency_ms": null, "max_energy_mj": null, "max_parameters": null, "max_multiply_adds": null, "study": "s", "space": "few", "trials": 5, "timeout": null, "seed": 0, "sampler": "random", "objectives": null, "data": "digits", "data_dir": null, "resolution": null, "train_samples": null, "split_seed": 0, "rungs": [1, 2], "train_batch_size": 32, "recipe": {"learning_rate": 0.1, "warmup_epochs": 1.0, "decay_power": 0.0, "momentum": 0.9, "weight_decay": 0.0005, "label_smoothing": 0.1, "gradient_clip_norm": 1.0, "averaging_power": 9.0, "averaging_max_decay": 0.9998, "augment": true, "mixed_precision": true}, "device": "auto", "energy": "auto", "batch_size": 1, "precision": "fp32", "runtime": "auto", "threads": null}','{"kind": "cpu", "name": "table"}',1.79563616742692303655e+09,31,'table','table');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'s');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MINIMIZE',1,1);
INSERT INTO "study_directions" VALUES(3,'MINIMIZE',1,2);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["accuracy", "latency_ms", "energy_mj"]');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'made_by','"osanas"');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'stage3.layers',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(2,1,'stage4.modules',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(3,1,'identity',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(4,2,'stage3.layers',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(5,2,'stage4.modules',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(6,2,'identity',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(7,3,'stage3.layers',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(8,3,'stage4.modules',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(9,3,'identity',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(10,4,'stage3.layers',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(11,4,'stage4.modules',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(12,4,'identity',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(13,5,'stage3.layers',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(14,5,'stage4.modules',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(15,5,'identity',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(16,6,'stage3.layers',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(17,6,'stage4.modules',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(18,6,'identity',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(19,7,'stage3.layers',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(20,7,'stage4.modules',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(21,7,'identity',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(22,8,'stage3.layers',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(23,8,'stage4.modules',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(24,8,'identity',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'constraints:max_latency_ms','-1.0');
INSERT INTO "trial_system_attributes" VALUES(2,1,'constraints:max_energy_mj','-1.0');
INSERT INTO "trial_system_attributes" VALUES(3,1,'constraints:max_parameters','-1.0');
INSERT INTO "trial_system_attributes" VALUES(4,1,'constraints:max_multiply_adds','-1.0');
INSERT INTO "trial_system_attributes" VALUES(5,2,'constraints:max_latency_ms','-1.0');
INSERT INTO "trial_system_attributes" VALUES(6,2,'constraints:max_energy_mj','-1.0');
INSERT INTO "trial_system_attributes" VALUES(7,2,'constraints:max_parameters','-1.0');
INSERT INTO "trial_system_attributes" VALUES(8,2,'constraints:max_multiply_adds','-1.0');
INSERT INTO "trial_system_attributes" VALUES(9,3,'constraints:max_latency_ms','-1.0');
INSERT INTO "trial_system_attributes" VALUES(10,3,'constraints:max_energy_mj','-1.0');
INSERT INTO "trial_system_attributes" VALUES(11,3,'constraints:max_parameters','-1.0');
INSERT INTO "trial_system_attributes" VALUES(12,3,'constraints:max_multiply_adds','-1.0');
INSERT INTO "trial_system_attributes" VALUES(13,4,'constraints:max_latency_ms','-1.0');
INSERT INTO "trial_system_attributes" VALUES(14,4,'constraints:max_energy_mj','-1.0');
INSERT INTO "trial_system_attributes" VALUES(15,4,'constraints:max_parameters','-1.0');
INSERT INTO "trial_system_attributes" VALUES(16,4,'constraints:max_multiply_adds','-1.0');
INSERT INTO "trial_system_attributes" VALUES(17,5,'constraints:max_latency_ms','-1.0');
INSERT INTO "trial_system_attributes" VALUES(18,5,'constraints:max_energy_mj','-1.0');
INSERT INTO "trial_system_attributes" VALUES(19,5,'constraints:max_parameters','-1.0');
INSERT INTO "trial_system_attributes" VALUES(20,5,'constraints:max_multiply_adds','-1.0');
INSERT INTO "trial_system_attributes" VALUES(21,6,'constraints:max_latency_ms','-1.0');
INSERT INTO "trial_system_attributes" VALUES(22,6,'constraints:max_energy_mj','-1.0');
INSERT INTO "trial_system_attributes" VALUES(23,6,'constraints:max_parameters','-1.0');
INSERT INTO "trial_system_attributes" VALUES(24,6,'constraints:max_multiply_adds','-1.0');
INSERT INTO "trial_system_attributes" VALUES(25,7,'constraints:max_latency_ms','-1.0');
INSERT INTO "trial_system_attributes" VALUES(26,7,'constraints:max_energy_mj','-1.0');
INSERT INTO "trial_system_attributes" VALUES(27,7,'constraints:max_parameters','-1.0');
INSERT INTO "trial_system_attributes" VALUES(28,7,'constraints:max_multiply_adds','-1.0');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'digest','"a1:72acc54c95b1a6c8"');
INSERT INTO "trial_user_attributes" VALUES(2,1,'architecture','"8-8-8 | 4x1>16 8x2>16 8x1>24*2 8x1>32 identity"');
INSERT INTO "trial_user_attributes" VALUES(3,1,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(4,1,'status','"complete"');
INSERT INTO "trial_user_attributes" VALUES(5,1,'parameters','5200');
INSERT INTO "trial_user_attributes" VALUES(6,1,'multiply_adds','52000000000');
INSERT INTO "trial_user_attributes" VALUES(7,2,'digest','"a1:dc89b2d301336d90"');
INSERT INTO "trial_user_attributes" VALUES(8,2,'architecture','"8-8-8 | 4x1>16 8x2>16 8x1>24 8x1>32"');
INSERT INTO "trial_user_attributes" VALUES(9,2,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(10,2,'status','"complete"');
INSERT INTO "trial_user_attributes" VALUES(11,2,'parameters','4400');
INSERT INTO "trial_user_attributes" VALUES(12,2,'multiply_adds','44000000000');
INSERT INTO "trial_user_attributes" VALUES(13,3,'digest','"a1:dc89b2d301336d90"');
INSERT INTO "trial_user_attributes" VALUES(14,3,'epochs','2');
INSERT INTO "trial_user_attributes" VALUES(15,3,'promoted_from','1');
INSERT INTO "trial_user_attributes" VALUES(16,3,'architecture','"8-8-8 | 4x1>16 8x2>16 8x1>24 8x1>32"');
INSERT INTO "trial_user_attributes" VALUES(17,3,'status','"complete"');
INSERT INTO "trial_user_attributes" VALUES(18,3,'parameters','4400');
INSERT INTO "trial_user_attributes" VALUES(19,3,'multiply_adds','44000000000');
INSERT INTO "trial_user_attributes" VALUES(20,4,'digest','"a1:d4eb5cb15a69dad9"');
INSERT INTO "trial_user_attributes" VALUES(21,4,'architecture','"8-8-8 | 4x1>16 8x1>16 8x1>24*2 8x1>32 identity"');
INSERT INTO "trial_user_attributes" VALUES(22,4,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(23,4,'status','"complete"');
INSERT INTO "trial_user_attributes" VALUES(24,4,'parameters','4400');
INSERT INTO "trial_user_attributes" VALUES(25,4,'multiply_adds','44000000000');
INSERT INTO "trial_user_attributes" VALUES(26,5,'digest','"a1:d4eb5cb15a69dad9"');
INSERT INTO "trial_user_attributes" VALUES(27,5,'architecture','"8-8-8 | 4x1>16 8x1>16 8x1>24*2 8x1>32 identity"');
INSERT INTO "trial_user_attributes" VALUES(28,5,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(29,5,'status','"duplicate of 3"');
INSERT INTO "trial_user_attributes" VALUES(30,5,'parameters','4400');
INSERT INTO "trial_user_attributes" VALUES(31,5,'multiply_adds','44000000000');
INSERT INTO "trial_user_attributes" VALUES(32,6,'digest','"a1:c927f97ba953d13d"');
INSERT INTO "trial_user_attributes" VALUES(33,6,'architecture','"8-8-8 | 4x1>16 8x2>16 8x1>24*2 8x1>32"');
INSERT INTO "trial_user_attributes" VALUES(34,6,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(35,6,'status','"complete"');
INSERT INTO "trial_user_attributes" VALUES(36,6,'parameters','5200');
INSERT INTO "trial_user_attributes" VALUES(37,6,'multiply_adds','52000000000');
INSERT INTO "trial_user_attributes" VALUES(38,7,'digest','"a1:c927f97ba953d13d"');
INSERT INTO "trial_user_attributes" VALUES(39,7,'epochs','2');
INSERT INTO "trial_user_attributes" VALUES(40,7,'promoted_from','5');
INSERT INTO "trial_user_attributes" VALUES(41,7,'architecture','"8-8-8 | 4x1>16 8x2>16 8x1>24*2 8x1>32"');
INSERT INTO "trial_user_attributes" VALUES(42,7,'status','"complete"');
INSERT INTO "trial_user_attributes" VALUES(43,7,'parameters','5200');
INSERT INTO "trial_user_attributes" VALUES(44,7,'multiply_adds','52000000000');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,2.98250832819918820781e-01,'FINITE');
INSERT INTO "trial_values" VALUES(2,1,1,0.52,'FINITE');
INSERT INTO "trial_values" VALUES(3,1,2,1.04,'FINITE');
INSERT INTO "trial_values" VALUES(4,2,0,5.51021292551304719964e-01,'FINITE');
INSERT INTO "trial_values" VALUES(5,2,1,0.44,'FINITE');
INSERT INTO "trial_values" VALUES(6,2,2,0.88,'FINITE');
INSERT INTO "trial_values" VALUES(7,3,0,5.88183548631352248747e-01,'FINITE');
INSERT INTO "trial_values" VALUES(8,3,1,0.44,'FINITE');
INSERT INTO "trial_values" VALUES(9,3,2,0.88,'FINITE');
INSERT INTO "trial_values" VALUES(10,4,0,4.73313652177753618754e-01,'FINITE');
INSERT INTO "trial_values" VALUES(11,4,1,0.44,'FINITE');
INSERT INTO "trial_values" VALUES(12,4,2,0.88,'FINITE');
INSERT INTO "trial_values" VALUES(13,5,0,4.73313652177753618754e-01,'FINITE');
INSERT INTO "trial_values" VALUES(14,5,1,0.44,'FINITE');
INSERT INTO "trial_values" VALUES(15,5,2,0.88,'FINITE');
INSERT INTO "trial_values" VALUES(16,6,0,7.70762869477191858713e-01,'FINITE');
INSERT INTO "trial_values" VALUES(17,6,1,0.52,'FINITE');
INSERT INTO "trial_values" VALUES(18,6,2,1.04,'FINITE');
INSERT INTO "trial_values" VALUES(19,7,0,8.22820751315290088712e-01,'FINITE');
INSERT INTO "trial_values" VALUES(20,7,1,0.52,'FINITE');
INSERT INTO "trial_values" VALUES(21,7,2,1.04,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-25 19:49:27.837917','2026-11-25 19:49:27.935874');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-25 19:49:27.964042','2026-11-25 19:49:28.022294');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-25 19:49:28.030935','2026-11-25 19:49:28.089207');
INSERT INTO "trials" VALUES(4,3,1,'COMPLETE','2026-11-25 19:49:28.100841','2026-11-25 19:49:28.156198');
INSERT INTO "trials" VALUES(5,4,1,'COMPLETE','2026-11-25 19:49:28.167548','2026-11-25 19:49:28.215254');
INSERT INTO "trials" VALUES(6,5,1,'COMPLETE','2026-11-25 19:49:28.231727','2026-11-25 19:49:28.314178');
INSERT INTO "trials" VALUES(7,6,1,'COMPLETE','2026-11-25 19:49:28.327487','2026-11-25 19:49:28.411065');
INSERT INTO "trials" VALUES(8,7,1,'RUNNING','2026-11-25 19:49:28.422919',NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE INDEX ix_osanas_references_key_digest ON osanas_references (key_digest);
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
