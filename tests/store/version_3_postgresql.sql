--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: studydirection; Type: TYPE; Schema: public; Owner: -
--

CREATE TYPE public.studydirection AS ENUM (
    'NOT_SET',
    'MINIMIZE',
    'MAXIMIZE'
);


--
-- Name: trialintermediatevaluetype; Type: TYPE; Schema: public; Owner: -
--

CREATE TYPE public.trialintermediatevaluetype AS ENUM (
    'FINITE',
    'INF_POS',
    'INF_NEG',
    'NAN'
);


--
-- Name: trialstate; Type: TYPE; Schema: public; Owner: -
--

CREATE TYPE public.trialstate AS ENUM (
    'RUNNING',
    'COMPLETE',
    'PRUNED',
    'FAIL',
    'WAITING'
);


--
-- Name: trialvaluetype; Type: TYPE; Schema: public; Owner: -
--

CREATE TYPE public.trialvaluetype AS ENUM (
    'FINITE',
    'INF_POS',
    'INF_NEG'
);


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: osanas_candidates; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.osanas_candidates (
    id integer NOT NULL,
    study_id integer NOT NULL,
    digest character varying(80) NOT NULL,
    architecture json NOT NULL,
    parameters bigint,
    multiply_adds bigint,
    memory_access_elements bigint
);


--
-- Name: osanas_candidates_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.osanas_candidates_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: osanas_candidates_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.osanas_candidates_id_seq OWNED BY public.osanas_candidates.id;


--
-- Name: osanas_duplicates; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.osanas_duplicates (
    id integer NOT NULL,
    study_id integer NOT NULL,
    trial integer NOT NULL,
    evaluation_id integer NOT NULL
);


--
-- Name: osanas_duplicates_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.osanas_duplicates_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: osanas_duplicates_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.osanas_duplicates_id_seq OWNED BY public.osanas_duplicates.id;


--
-- Name: osanas_epochs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.osanas_epochs (
    evaluation_id integer NOT NULL,
    epoch integer NOT NULL,
    train_loss double precision NOT NULL,
    val_loss double precision NOT NULL,
    val_accuracy double precision NOT NULL,
    seconds double precision NOT NULL
);


--
-- Name: osanas_evaluations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.osanas_evaluations (
    id integer NOT NULL,
    study_id integer NOT NULL,
    candidate_id integer NOT NULL,
    epochs integer NOT NULL,
    trial integer,
    status character varying(16) NOT NULL,
    reason_kind character varying(40),
    reason text,
    accuracy double precision,
    latency_ms double precision,
    energy_mj double precision,
    energy_source character varying(16),
    measurement_key character varying(80),
    started_at double precision NOT NULL,
    finished_at double precision,
    training_seconds double precision
);


--
-- Name: osanas_evaluations_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.osanas_evaluations_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: osanas_evaluations_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.osanas_evaluations_id_seq OWNED BY public.osanas_evaluations.id;


--
-- Name: osanas_leases; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.osanas_leases (
    id integer NOT NULL,
    study_id integer NOT NULL,
    host character varying(255) NOT NULL,
    boot_id character varying(80) NOT NULL,
    pid integer NOT NULL,
    process_started double precision NOT NULL,
    expires_at double precision NOT NULL,
    reserved boolean NOT NULL,
    trial integer
);


--
-- Name: osanas_leases_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.osanas_leases_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: osanas_leases_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.osanas_leases_id_seq OWNED BY public.osanas_leases.id;


--
-- Name: osanas_measurements; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.osanas_measurements (
    id integer NOT NULL,
    key_digest character varying(80) NOT NULL,
    network character varying(200) NOT NULL,
    key json NOT NULL,
    result json NOT NULL,
    measured_at double precision NOT NULL
);


--
-- Name: osanas_measurements_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.osanas_measurements_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: osanas_measurements_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.osanas_measurements_id_seq OWNED BY public.osanas_measurements.id;


--
-- Name: osanas_references; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.osanas_references (
    id integer NOT NULL,
    study_id integer NOT NULL,
    key_digest character varying(80) NOT NULL,
    latency_ms double precision NOT NULL,
    flags json NOT NULL,
    measured_at double precision NOT NULL
);


--
-- Name: osanas_references_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.osanas_references_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: osanas_references_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.osanas_references_id_seq OWNED BY public.osanas_references.id;


--
-- Name: osanas_schema; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.osanas_schema (
    version integer NOT NULL
);


--
-- Name: osanas_schema_version_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.osanas_schema_version_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: osanas_schema_version_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.osanas_schema_version_seq OWNED BY public.osanas_schema.version;


--
-- Name: osanas_studies; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.osanas_studies (
    id integer NOT NULL,
    name character varying(200) NOT NULL,
    identity json NOT NULL,
    config json NOT NULL,
    device json NOT NULL,
    created_at double precision NOT NULL,
    revision integer NOT NULL,
    search_key character varying(80),
    final_key character varying(80)
);


--
-- Name: osanas_studies_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.osanas_studies_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: osanas_studies_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.osanas_studies_id_seq OWNED BY public.osanas_studies.id;


--
-- Name: studies; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.studies (
    study_id integer NOT NULL,
    study_name character varying(512) NOT NULL
);


--
-- Name: studies_study_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.studies_study_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: studies_study_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.studies_study_id_seq OWNED BY public.studies.study_id;


--
-- Name: study_directions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.study_directions (
    study_direction_id integer NOT NULL,
    direction public.studydirection NOT NULL,
    study_id integer NOT NULL,
    objective integer NOT NULL
);


--
-- Name: study_directions_study_direction_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.study_directions_study_direction_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: study_directions_study_direction_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.study_directions_study_direction_id_seq OWNED BY public.study_directions.study_direction_id;


--
-- Name: study_system_attributes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.study_system_attributes (
    study_system_attribute_id integer NOT NULL,
    study_id integer,
    key character varying(512),
    value_json text
);


--
-- Name: study_system_attributes_study_system_attribute_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.study_system_attributes_study_system_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: study_system_attributes_study_system_attribute_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.study_system_attributes_study_system_attribute_id_seq OWNED BY public.study_system_attributes.study_system_attribute_id;


--
-- Name: study_user_attributes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.study_user_attributes (
    study_user_attribute_id integer NOT NULL,
    study_id integer,
    key character varying(512),
    value_json text
);


--
-- Name: study_user_attributes_study_user_attribute_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.study_user_attributes_study_user_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: study_user_attributes_study_user_attribute_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.study_user_attributes_study_user_attribute_id_seq OWNED BY public.study_user_attributes.study_user_attribute_id;


--
-- Name: trial_heartbeats; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.trial_heartbeats (
    trial_heartbeat_id integer NOT NULL,
    trial_id integer NOT NULL,
    heartbeat timestamp without time zone NOT NULL
);


--
-- Name: trial_heartbeats_trial_heartbeat_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.trial_heartbeats_trial_heartbeat_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: trial_heartbeats_trial_heartbeat_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.trial_heartbeats_trial_heartbeat_id_seq OWNED BY public.trial_heartbeats.trial_heartbeat_id;


--
-- Name: trial_intermediate_values; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.trial_intermediate_values (
    trial_intermediate_value_id integer NOT NULL,
    trial_id integer NOT NULL,
    step integer NOT NULL,
    intermediate_value double precision,
    intermediate_value_type public.trialintermediatevaluetype NOT NULL
);


--
-- Name: trial_intermediate_values_trial_intermediate_value_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.trial_intermediate_values_trial_intermediate_value_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: trial_intermediate_values_trial_intermediate_value_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.trial_intermediate_values_trial_intermediate_value_id_seq OWNED BY public.trial_intermediate_values.trial_intermediate_value_id;


--
-- Name: trial_params; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.trial_params (
    param_id integer NOT NULL,
    trial_id integer,
    param_name character varying(512),
    param_value double precision,
    distribution_json text
);


--
-- Name: trial_params_param_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.trial_params_param_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: trial_params_param_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.trial_params_param_id_seq OWNED BY public.trial_params.param_id;


--
-- Name: trial_system_attributes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.trial_system_attributes (
    trial_system_attribute_id integer NOT NULL,
    trial_id integer,
    key character varying(512),
    value_json text
);


--
-- Name: trial_system_attributes_trial_system_attribute_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.trial_system_attributes_trial_system_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: trial_system_attributes_trial_system_attribute_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.trial_system_attributes_trial_system_attribute_id_seq OWNED BY public.trial_system_attributes.trial_system_attribute_id;


--
-- Name: trial_user_attributes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.trial_user_attributes (
    trial_user_attribute_id integer NOT NULL,
    trial_id integer,
    key character varying(512),
    value_json text
);


--
-- Name: trial_user_attributes_trial_user_attribute_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.trial_user_attributes_trial_user_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: trial_user_attributes_trial_user_attribute_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.trial_user_attributes_trial_user_attribute_id_seq OWNED BY public.trial_user_attributes.trial_user_attribute_id;


--
-- Name: trial_values; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.trial_values (
    trial_value_id integer NOT NULL,
    trial_id integer NOT NULL,
    objective integer NOT NULL,
    value double precision,
    value_type public.trialvaluetype NOT NULL
);


--
-- Name: trial_values_trial_value_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.trial_values_trial_value_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: trial_values_trial_value_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.trial_values_trial_value_id_seq OWNED BY public.trial_values.trial_value_id;


--
-- Name: trials; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.trials (
    trial_id integer NOT NULL,
    number integer,
    study_id integer,
    state public.trialstate NOT NULL,
    datetime_start timestamp without time zone,
    datetime_complete timestamp without time zone
);


--
-- Name: trials_trial_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.trials_trial_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: trials_trial_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.trials_trial_id_seq OWNED BY public.trials.trial_id;


--
-- Name: version_info; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.version_info (
    version_info_id integer NOT NULL,
    schema_version integer,
    library_version character varying(256),
    CONSTRAINT version_info_version_info_id_check CHECK ((version_info_id = 1))
);


--
-- Name: osanas_candidates id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_candidates ALTER COLUMN id SET DEFAULT nextval('public.osanas_candidates_id_seq'::regclass);


--
-- Name: osanas_duplicates id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_duplicates ALTER COLUMN id SET DEFAULT nextval('public.osanas_duplicates_id_seq'::regclass);


--
-- Name: osanas_evaluations id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_evaluations ALTER COLUMN id SET DEFAULT nextval('public.osanas_evaluations_id_seq'::regclass);


--
-- Name: osanas_leases id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_leases ALTER COLUMN id SET DEFAULT nextval('public.osanas_leases_id_seq'::regclass);


--
-- Name: osanas_measurements id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_measurements ALTER COLUMN id SET DEFAULT nextval('public.osanas_measurements_id_seq'::regclass);


--
-- Name: osanas_references id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_references ALTER COLUMN id SET DEFAULT nextval('public.osanas_references_id_seq'::regclass);


--
-- Name: osanas_schema version; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_schema ALTER COLUMN version SET DEFAULT nextval('public.osanas_schema_version_seq'::regclass);


--
-- Name: osanas_studies id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_studies ALTER COLUMN id SET DEFAULT nextval('public.osanas_studies_id_seq'::regclass);


--
-- Name: studies study_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.studies ALTER COLUMN study_id SET DEFAULT nextval('public.studies_study_id_seq'::regclass);


--
-- Name: study_directions study_direction_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_directions ALTER COLUMN study_direction_id SET DEFAULT nextval('public.study_directions_study_direction_id_seq'::regclass);


--
-- Name: study_system_attributes study_system_attribute_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_system_attributes ALTER COLUMN study_system_attribute_id SET DEFAULT nextval('public.study_system_attributes_study_system_attribute_id_seq'::regclass);


--
-- Name: study_user_attributes study_user_attribute_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_user_attributes ALTER COLUMN study_user_attribute_id SET DEFAULT nextval('public.study_user_attributes_study_user_attribute_id_seq'::regclass);


--
-- Name: trial_heartbeats trial_heartbeat_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_heartbeats ALTER COLUMN trial_heartbeat_id SET DEFAULT nextval('public.trial_heartbeats_trial_heartbeat_id_seq'::regclass);


--
-- Name: trial_intermediate_values trial_intermediate_value_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_intermediate_values ALTER COLUMN trial_intermediate_value_id SET DEFAULT nextval('public.trial_intermediate_values_trial_intermediate_value_id_seq'::regclass);


--
-- Name: trial_params param_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_params ALTER COLUMN param_id SET DEFAULT nextval('public.trial_params_param_id_seq'::regclass);


--
-- Name: trial_system_attributes trial_system_attribute_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_system_attributes ALTER COLUMN trial_system_attribute_id SET DEFAULT nextval('public.trial_system_attributes_trial_system_attribute_id_seq'::regclass);


--
-- Name: trial_user_attributes trial_user_attribute_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_user_attributes ALTER COLUMN trial_user_attribute_id SET DEFAULT nextval('public.trial_user_attributes_trial_user_attribute_id_seq'::regclass);


--
-- Name: trial_values trial_value_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_values ALTER COLUMN trial_value_id SET DEFAULT nextval('public.trial_values_trial_value_id_seq'::regclass);


--
-- Name: trials trial_id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trials ALTER COLUMN trial_id SET DEFAULT nextval('public.trials_trial_id_seq'::regclass);


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.alembic_version VALUES ('v3.2.0.a');


--
-- Data for Name: osanas_candidates; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.osanas_candidates VALUES (1, 1, 'a1:72acc54c95b1a6c8', '{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 2, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 2}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": true}', 5200, 52000000000, 520);
INSERT INTO public.osanas_candidates VALUES (2, 1, 'a1:dc89b2d301336d90', '{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 2, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": false}', 4400, 44000000000, 440);
INSERT INTO public.osanas_candidates VALUES (3, 1, 'a1:d4eb5cb15a69dad9', '{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 2}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": true}', 4400, 44000000000, 440);
INSERT INTO public.osanas_candidates VALUES (4, 1, 'a1:c927f97ba953d13d', '{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 2, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 2}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": false}', 5200, 52000000000, 520);
INSERT INTO public.osanas_candidates VALUES (5, 1, 'a1:8b1c7d825ba7067e', '{"stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": false}', 3600, 36000000000, 360);


--
-- Data for Name: osanas_duplicates; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.osanas_duplicates VALUES (1, 1, 4, 4);


--
-- Data for Name: osanas_epochs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.osanas_epochs VALUES (1, 1, 0.7017491671800812, 1.2017491671800813, 0.2982508328199188, 0.1);
INSERT INTO public.osanas_epochs VALUES (2, 1, 0.4489787074486953, 0.9489787074486953, 0.5510212925513047, 0.1);
INSERT INTO public.osanas_epochs VALUES (3, 2, 0.41181645136864775, 0.9118164513686478, 0.5881835486313522, 0.1);
INSERT INTO public.osanas_epochs VALUES (4, 1, 0.5266863478222463, 1.0266863478222463, 0.4733136521777536, 0.1);
INSERT INTO public.osanas_epochs VALUES (5, 1, 0.22923713052280814, 0.7292371305228081, 0.7707628694771919, 0.1);
INSERT INTO public.osanas_epochs VALUES (6, 2, 0.1771792486847099, 0.6771792486847099, 0.8228207513152901, 0.1);
INSERT INTO public.osanas_epochs VALUES (7, 1, 0.576605757346656, 1.0766057573466559, 0.423394242653344, 0.1);


--
-- Data for Name: osanas_evaluations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.osanas_evaluations VALUES (1, 1, 1, 1, 0, 'complete', NULL, NULL, 0.2982508328199188, 0.52, 1.04, 'estimated', 'table', 1795636172.2963207, 1795636172.3276932, 0.1);
INSERT INTO public.osanas_evaluations VALUES (2, 1, 2, 1, 1, 'complete', NULL, NULL, 0.5510212925513047, 0.44, 0.88, 'estimated', 'table', 1795636172.4678178, 1795636172.481576, 0.1);
INSERT INTO public.osanas_evaluations VALUES (3, 1, 2, 2, 2, 'complete', NULL, NULL, 0.5881835486313522, 0.44, 0.88, 'estimated', 'table', 1795636172.5575893, 1795636172.5937645, 0.2);
INSERT INTO public.osanas_evaluations VALUES (4, 1, 3, 1, 3, 'complete', NULL, NULL, 0.4733136521777536, 0.44, 0.88, 'estimated', 'table', 1795636172.688557, 1795636172.703178, 0.1);
INSERT INTO public.osanas_evaluations VALUES (5, 1, 4, 1, 5, 'complete', NULL, NULL, 0.7707628694771919, 0.52, 1.04, 'estimated', 'table', 1795636172.9028492, 1795636172.9167445, 0.1);
INSERT INTO public.osanas_evaluations VALUES (6, 1, 4, 2, 6, 'complete', NULL, NULL, 0.8228207513152901, 0.52, 1.04, 'estimated', 'table', 1795636172.9898193, 1795636173.0232449, 0.2);
INSERT INTO public.osanas_evaluations VALUES (7, 1, 5, 1, 7, 'running', NULL, NULL, NULL, 0.36, 0.72, 'estimated', 'table', 1795636173.1134667, NULL, NULL);


--
-- Data for Name: osanas_leases; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.osanas_leases VALUES (1, 1, 'vm', 'ebe3d01f-d999-41b6-a3e1-761be000a739:4026531836', 8934, 14814.42, 1795636232.192983, true, 7);


--
-- Data for Name: osanas_measurements; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.osanas_measurements VALUES (1, 'table', 'a1:72acc54c95b1a6c8', '{}', '{"latency_ms": 0.52, "energy_mj": 1.04, "energy_source": "estimated"}', 1795636172.306739);
INSERT INTO public.osanas_measurements VALUES (2, 'table', 'a1:dc89b2d301336d90', '{}', '{"latency_ms": 0.44, "energy_mj": 0.88, "energy_source": "estimated"}', 1795636172.4730191);
INSERT INTO public.osanas_measurements VALUES (3, 'table', 'a1:d4eb5cb15a69dad9', '{}', '{"latency_ms": 0.44, "energy_mj": 0.88, "energy_source": "estimated"}', 1795636172.694449);
INSERT INTO public.osanas_measurements VALUES (4, 'table', 'a1:c927f97ba953d13d', '{}', '{"latency_ms": 0.52, "energy_mj": 1.04, "energy_source": "estimated"}', 1795636172.9083586);
INSERT INTO public.osanas_measurements VALUES (5, 'table', 'a1:8b1c7d825ba7067e', '{}', '{"latency_ms": 0.36, "energy_mj": 0.72, "energy_source": "estimated"}', 1795636173.1188867);


--
-- Data for Name: osanas_references; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: osanas_schema; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.osanas_schema VALUES (3);


--
-- Data for Name: osanas_studies; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.osanas_studies VALUES (1, 's', '{"space": {"name": "few", "stem": {"channels": [8, 8, 8], "downsample": "pool"}, "stages": [{"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1}, {"conv_channels": 8, "out_channels": 16, "layers": {"choices": [1, 2]}, "modules": 1}, {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": {"choices": [1, 2]}}, {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1}], "conv": "dense", "attention": "none", "identity": {"choices": [false, true]}}, "objectives": ["accuracy", "latency_ms", "energy_mj"], "rungs": [1, 2], "table": "digest", "energy_source": "estimated"}', '{"max_latency_ms": null, "max_energy_mj": null, "max_parameters": null, "max_multiply_adds": null, "study": "s", "space": "few", "trials": 5, "timeout": null, "seed": 0, "sampler": "random", "objectives": null, "data": "digits", "data_dir": null, "resolution": null, "train_samples": null, "split_seed": 0, "rungs": [1, 2], "train_batch_size": 32, "recipe": {"learning_rate": 0.1, "warmup_epochs": 1.0, "decay_power": 0.0, "momentum": 0.9, "weight_decay": 0.0005, "label_smoothing": 0.1, "gradient_clip_norm": 1.0, "averaging_power": 9.0, "averaging_max_decay": 0.9998, "augment": true, "mixed_precision": true}, "device": "auto", "energy": "auto", "batch_size": 1, "precision": "fp32", "runtime": "auto", "threads": null}', '{"kind": "cpu", "name": "table"}', 1795636171.868927, 31, 'table', 'table');


--
-- Data for Name: studies; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.studies VALUES (1, 's');


--
-- Data for Name: study_directions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.study_directions VALUES (1, 'MAXIMIZE', 1, 0);
INSERT INTO public.study_directions VALUES (2, 'MINIMIZE', 1, 1);
INSERT INTO public.study_directions VALUES (3, 'MINIMIZE', 1, 2);


--
-- Data for Name: study_system_attributes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.study_system_attributes VALUES (1, 1, 'study:metric_names', '["accuracy", "latency_ms", "energy_mj"]');


--
-- Data for Name: study_user_attributes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.study_user_attributes VALUES (1, 1, 'made_by', '"osanas"');


--
-- Data for Name: trial_heartbeats; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: trial_intermediate_values; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: trial_params; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.trial_params VALUES (1, 1, 'stage3.layers', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (2, 1, 'stage4.modules', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (3, 1, 'identity', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (4, 2, 'stage3.layers', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (5, 2, 'stage4.modules', 0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (6, 2, 'identity', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (7, 3, 'stage3.layers', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (8, 3, 'stage4.modules', 0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (9, 3, 'identity', 0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (10, 4, 'stage3.layers', 0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (11, 4, 'stage4.modules', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (12, 4, 'identity', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (13, 5, 'stage3.layers', 0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (14, 5, 'stage4.modules', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (15, 5, 'identity', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (16, 6, 'stage3.layers', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (17, 6, 'stage4.modules', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (18, 6, 'identity', 0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (19, 7, 'stage3.layers', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (20, 7, 'stage4.modules', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (21, 7, 'identity', 0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (22, 8, 'stage3.layers', 0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (23, 8, 'stage4.modules', 0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO public.trial_params VALUES (24, 8, 'identity', 1, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');


--
-- Data for Name: trial_system_attributes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.trial_system_attributes VALUES (1, 1, 'constraints:max_latency_ms', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (2, 1, 'constraints:max_energy_mj', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (3, 1, 'constraints:max_parameters', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (4, 1, 'constraints:max_multiply_adds', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (5, 2, 'constraints:max_latency_ms', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (6, 2, 'constraints:max_energy_mj', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (7, 2, 'constraints:max_parameters', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (8, 2, 'constraints:max_multiply_adds', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (9, 3, 'constraints:max_latency_ms', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (10, 3, 'constraints:max_energy_mj', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (11, 3, 'constraints:max_parameters', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (12, 3, 'constraints:max_multiply_adds', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (13, 4, 'constraints:max_latency_ms', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (14, 4, 'constraints:max_energy_mj', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (15, 4, 'constraints:max_parameters', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (16, 4, 'constraints:max_multiply_adds', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (17, 5, 'constraints:max_latency_ms', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (18, 5, 'constraints:max_energy_mj', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (19, 5, 'constraints:max_parameters', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (20, 5, 'constraints:max_multiply_adds', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (21, 6, 'constraints:max_latency_ms', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (22, 6, 'constraints:max_energy_mj', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (23, 6, 'constraints:max_parameters', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (24, 6, 'constraints:max_multiply_adds', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (25, 7, 'constraints:max_latency_ms', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (26, 7, 'constraints:max_energy_mj', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (27, 7, 'constraints:max_parameters', '-1.0');
INSERT INTO public.trial_system_attributes VALUES (28, 7, 'constraints:max_multiply_adds', '-1.0');


--
-- Data for Name: trial_user_attributes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.trial_user_attributes VALUES (1, 1, 'digest', '"a1:72acc54c95b1a6c8"');
INSERT INTO public.trial_user_attributes VALUES (2, 1, 'architecture', '"8-8-8 | 4x1>16 8x2>16 8x1>24*2 8x1>32 identity"');
INSERT INTO public.trial_user_attributes VALUES (3, 1, 'epochs', '1');
INSERT INTO public.trial_user_attributes VALUES (4, 1, 'status', '"complete"');
INSERT INTO public.trial_user_attributes VALUES (5, 1, 'parameters', '5200');
INSERT INTO public.trial_user_attributes VALUES (6, 1, 'multiply_adds', '52000000000');
INSERT INTO public.trial_user_attributes VALUES (7, 2, 'digest', '"a1:dc89b2d301336d90"');
INSERT INTO public.trial_user_attributes VALUES (8, 2, 'architecture', '"8-8-8 | 4x1>16 8x2>16 8x1>24 8x1>32"');
INSERT INTO public.trial_user_attributes VALUES (9, 2, 'epochs', '1');
INSERT INTO public.trial_user_attributes VALUES (10, 2, 'status', '"complete"');
INSERT INTO public.trial_user_attributes VALUES (11, 2, 'parameters', '4400');
INSERT INTO public.trial_user_attributes VALUES (12, 2, 'multiply_adds', '44000000000');
INSERT INTO public.trial_user_attributes VALUES (15, 3, 'promoted_from', '1');
INSERT INTO public.trial_user_attributes VALUES (13, 3, 'digest', '"a1:dc89b2d301336d90"');
INSERT INTO public.trial_user_attributes VALUES (17, 3, 'architecture', '"8-8-8 | 4x1>16 8x2>16 8x1>24 8x1>32"');
INSERT INTO public.trial_user_attributes VALUES (14, 3, 'epochs', '2');
INSERT INTO public.trial_user_attributes VALUES (19, 3, 'status', '"complete"');
INSERT INTO public.trial_user_attributes VALUES (20, 3, 'parameters', '4400');
INSERT INTO public.trial_user_attributes VALUES (21, 3, 'multiply_adds', '44000000000');
INSERT INTO public.trial_user_attributes VALUES (22, 4, 'digest', '"a1:d4eb5cb15a69dad9"');
INSERT INTO public.trial_user_attributes VALUES (23, 4, 'architecture', '"8-8-8 | 4x1>16 8x1>16 8x1>24*2 8x1>32 identity"');
INSERT INTO public.trial_user_attributes VALUES (24, 4, 'epochs', '1');
INSERT INTO public.trial_user_attributes VALUES (25, 4, 'status', '"complete"');
INSERT INTO public.trial_user_attributes VALUES (26, 4, 'parameters', '4400');
INSERT INTO public.trial_user_attributes VALUES (27, 4, 'multiply_adds', '44000000000');
INSERT INTO public.trial_user_attributes VALUES (28, 5, 'digest', '"a1:d4eb5cb15a69dad9"');
INSERT INTO public.trial_user_attributes VALUES (29, 5, 'architecture', '"8-8-8 | 4x1>16 8x1>16 8x1>24*2 8x1>32 identity"');
INSERT INTO public.trial_user_attributes VALUES (30, 5, 'epochs', '1');
INSERT INTO public.trial_user_attributes VALUES (31, 5, 'status', '"duplicate of 3"');
INSERT INTO public.trial_user_attributes VALUES (32, 5, 'parameters', '4400');
INSERT INTO public.trial_user_attributes VALUES (33, 5, 'multiply_adds', '44000000000');
INSERT INTO public.trial_user_attributes VALUES (34, 6, 'digest', '"a1:c927f97ba953d13d"');
INSERT INTO public.trial_user_attributes VALUES (35, 6, 'architecture', '"8-8-8 | 4x1>16 8x2>16 8x1>24*2 8x1>32"');
INSERT INTO public.trial_user_attributes VALUES (36, 6, 'epochs', '1');
INSERT INTO public.trial_user_attributes VALUES (37, 6, 'status', '"complete"');
INSERT INTO public.trial_user_attributes VALUES (38, 6, 'parameters', '5200');
INSERT INTO public.trial_user_attributes VALUES (39, 6, 'multiply_adds', '52000000000');
INSERT INTO public.trial_user_attributes VALUES (42, 7, 'promoted_from', '5');
INSERT INTO public.trial_user_attributes VALUES (40, 7, 'digest', '"a1:c927f97ba953d13d"');
INSERT INTO public.trial_user_attributes VALUES (44, 7, 'architecture', '"8-8-8 | 4x1>16 8x2>16 8x1>24*2 8x1>32"');
INSERT INTO public.trial_user_attributes VALUES (41, 7, 'epochs', '2');
INSERT INTO public.trial_user_attributes VALUES (46, 7, 'status', '"complete"');
INSERT INTO public.trial_user_attributes VALUES (47, 7, 'parameters', '5200');
INSERT INTO public.trial_user_attributes VALUES (48, 7, 'multiply_adds', '52000000000');


--
-- Data for Name: trial_values; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.trial_values VALUES (1, 1, 0, 0.2982508328199188, 'FINITE');
INSERT INTO public.trial_values VALUES (2, 1, 1, 0.52, 'FINITE');
INSERT INTO public.trial_values VALUES (3, 1, 2, 1.04, 'FINITE');
INSERT INTO public.trial_values VALUES (4, 2, 0, 0.5510212925513047, 'FINITE');
INSERT INTO public.trial_values VALUES (5, 2, 1, 0.44, 'FINITE');
INSERT INTO public.trial_values VALUES (6, 2, 2, 0.88, 'FINITE');
INSERT INTO public.trial_values VALUES (7, 3, 0, 0.5881835486313522, 'FINITE');
INSERT INTO public.trial_values VALUES (8, 3, 1, 0.44, 'FINITE');
INSERT INTO public.trial_values VALUES (9, 3, 2, 0.88, 'FINITE');
INSERT INTO public.trial_values VALUES (10, 4, 0, 0.4733136521777536, 'FINITE');
INSERT INTO public.trial_values VALUES (11, 4, 1, 0.44, 'FINITE');
INSERT INTO public.trial_values VALUES (12, 4, 2, 0.88, 'FINITE');
INSERT INTO public.trial_values VALUES (13, 5, 0, 0.4733136521777536, 'FINITE');
INSERT INTO public.trial_values VALUES (14, 5, 1, 0.44, 'FINITE');
INSERT INTO public.trial_values VALUES (15, 5, 2, 0.88, 'FINITE');
INSERT INTO public.trial_values VALUES (16, 6, 0, 0.7707628694771919, 'FINITE');
INSERT INTO public.trial_values VALUES (17, 6, 1, 0.52, 'FINITE');
INSERT INTO public.trial_values VALUES (18, 6, 2, 1.04, 'FINITE');
INSERT INTO public.trial_values VALUES (19, 7, 0, 0.8228207513152901, 'FINITE');
INSERT INTO public.trial_values VALUES (20, 7, 1, 0.52, 'FINITE');
INSERT INTO public.trial_values VALUES (21, 7, 2, 1.04, 'FINITE');


--
-- Data for Name: trials; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.trials VALUES (1, 0, 1, 'COMPLETE', '2026-11-25 19:49:32.247128', '2026-11-25 19:49:32.415511');
INSERT INTO public.trials VALUES (2, 1, 1, 'COMPLETE', '2026-11-25 19:49:32.452006', '2026-11-25 19:49:32.547748');
INSERT INTO public.trials VALUES (3, 2, 1, 'COMPLETE', '2026-11-25 19:49:32.561265', '2026-11-25 19:49:32.65563');
INSERT INTO public.trials VALUES (4, 3, 1, 'COMPLETE', '2026-11-25 19:49:32.673657', '2026-11-25 19:49:32.763995');
INSERT INTO public.trials VALUES (5, 4, 1, 'COMPLETE', '2026-11-25 19:49:32.782527', '2026-11-25 19:49:32.867598');
INSERT INTO public.trials VALUES (6, 5, 1, 'COMPLETE', '2026-11-25 19:49:32.886923', '2026-11-25 19:49:32.9809');
INSERT INTO public.trials VALUES (7, 6, 1, 'COMPLETE', '2026-11-25 19:49:32.993164', '2026-11-25 19:49:33.082802');
INSERT INTO public.trials VALUES (8, 7, 1, 'RUNNING', '2026-11-25 19:49:33.100179', NULL);


--
-- Data for Name: version_info; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.version_info VALUES (1, 12, '5.0.0');


--
-- Name: osanas_candidates_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.osanas_candidates_id_seq', 5, true);


--
-- Name: osanas_duplicates_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.osanas_duplicates_id_seq', 1, true);


--
-- Name: osanas_evaluations_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.osanas_evaluations_id_seq', 7, true);


--
-- Name: osanas_leases_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.osanas_leases_id_seq', 1, true);


--
-- Name: osanas_measurements_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.osanas_measurements_id_seq', 5, true);


--
-- Name: osanas_references_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.osanas_references_id_seq', 1, false);


--
-- Name: osanas_schema_version_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.osanas_schema_version_seq', 1, false);


--
-- Name: osanas_studies_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.osanas_studies_id_seq', 1, true);


--
-- Name: studies_study_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.studies_study_id_seq', 1, true);


--
-- Name: study_directions_study_direction_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.study_directions_study_direction_id_seq', 3, true);


--
-- Name: study_system_attributes_study_system_attribute_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.study_system_attributes_study_system_attribute_id_seq', 1, true);


--
-- Name: study_user_attributes_study_user_attribute_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.study_user_attributes_study_user_attribute_id_seq', 1, true);


--
-- Name: trial_heartbeats_trial_heartbeat_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.trial_heartbeats_trial_heartbeat_id_seq', 1, false);


--
-- Name: trial_intermediate_values_trial_intermediate_value_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.trial_intermediate_values_trial_intermediate_value_id_seq', 1, false);


--
-- Name: trial_params_param_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.trial_params_param_id_seq', 24, true);


--
-- Name: trial_system_attributes_trial_system_attribute_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.trial_system_attributes_trial_system_attribute_id_seq', 28, true);


--
-- Name: trial_user_attributes_trial_user_attribute_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.trial_user_attributes_trial_user_attribute_id_seq', 48, true);


--
-- Name: trial_values_trial_value_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.trial_values_trial_value_id_seq', 21, true);


--
-- Name: trials_trial_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.trials_trial_id_seq', 8, true);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: osanas_candidates osanas_candidates_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_candidates
    ADD CONSTRAINT osanas_candidates_pkey PRIMARY KEY (id);


--
-- Name: osanas_candidates osanas_candidates_study_id_digest_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_candidates
    ADD CONSTRAINT osanas_candidates_study_id_digest_key UNIQUE (study_id, digest);


--
-- Name: osanas_duplicates osanas_duplicates_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_duplicates
    ADD CONSTRAINT osanas_duplicates_pkey PRIMARY KEY (id);


--
-- Name: osanas_duplicates osanas_duplicates_study_id_trial_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_duplicates
    ADD CONSTRAINT osanas_duplicates_study_id_trial_key UNIQUE (study_id, trial);


--
-- Name: osanas_epochs osanas_epochs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_epochs
    ADD CONSTRAINT osanas_epochs_pkey PRIMARY KEY (evaluation_id, epoch);


--
-- Name: osanas_evaluations osanas_evaluations_candidate_id_epochs_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_evaluations
    ADD CONSTRAINT osanas_evaluations_candidate_id_epochs_key UNIQUE (candidate_id, epochs);


--
-- Name: osanas_evaluations osanas_evaluations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_evaluations
    ADD CONSTRAINT osanas_evaluations_pkey PRIMARY KEY (id);


--
-- Name: osanas_evaluations osanas_evaluations_study_id_trial_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_evaluations
    ADD CONSTRAINT osanas_evaluations_study_id_trial_key UNIQUE (study_id, trial);


--
-- Name: osanas_leases osanas_leases_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_leases
    ADD CONSTRAINT osanas_leases_pkey PRIMARY KEY (id);


--
-- Name: osanas_leases osanas_leases_study_id_trial_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_leases
    ADD CONSTRAINT osanas_leases_study_id_trial_key UNIQUE (study_id, trial);


--
-- Name: osanas_measurements osanas_measurements_key_digest_network_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_measurements
    ADD CONSTRAINT osanas_measurements_key_digest_network_key UNIQUE (key_digest, network);


--
-- Name: osanas_measurements osanas_measurements_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_measurements
    ADD CONSTRAINT osanas_measurements_pkey PRIMARY KEY (id);


--
-- Name: osanas_references osanas_references_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_references
    ADD CONSTRAINT osanas_references_pkey PRIMARY KEY (id);


--
-- Name: osanas_schema osanas_schema_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_schema
    ADD CONSTRAINT osanas_schema_pkey PRIMARY KEY (version);


--
-- Name: osanas_studies osanas_studies_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_studies
    ADD CONSTRAINT osanas_studies_name_key UNIQUE (name);


--
-- Name: osanas_studies osanas_studies_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_studies
    ADD CONSTRAINT osanas_studies_pkey PRIMARY KEY (id);


--
-- Name: studies studies_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.studies
    ADD CONSTRAINT studies_pkey PRIMARY KEY (study_id);


--
-- Name: study_directions study_directions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_pkey PRIMARY KEY (study_direction_id);


--
-- Name: study_directions study_directions_study_id_objective_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_study_id_objective_key UNIQUE (study_id, objective);


--
-- Name: study_system_attributes study_system_attributes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_pkey PRIMARY KEY (study_system_attribute_id);


--
-- Name: study_system_attributes study_system_attributes_study_id_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_study_id_key_key UNIQUE (study_id, key);


--
-- Name: study_user_attributes study_user_attributes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_pkey PRIMARY KEY (study_user_attribute_id);


--
-- Name: study_user_attributes study_user_attributes_study_id_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_study_id_key_key UNIQUE (study_id, key);


--
-- Name: trial_heartbeats trial_heartbeats_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_pkey PRIMARY KEY (trial_heartbeat_id);


--
-- Name: trial_heartbeats trial_heartbeats_trial_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_trial_id_key UNIQUE (trial_id);


--
-- Name: trial_intermediate_values trial_intermediate_values_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_pkey PRIMARY KEY (trial_intermediate_value_id);


--
-- Name: trial_intermediate_values trial_intermediate_values_trial_id_step_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_trial_id_step_key UNIQUE (trial_id, step);


--
-- Name: trial_params trial_params_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_pkey PRIMARY KEY (param_id);


--
-- Name: trial_params trial_params_trial_id_param_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_trial_id_param_name_key UNIQUE (trial_id, param_name);


--
-- Name: trial_system_attributes trial_system_attributes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_pkey PRIMARY KEY (trial_system_attribute_id);


--
-- Name: trial_system_attributes trial_system_attributes_trial_id_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_trial_id_key_key UNIQUE (trial_id, key);


--
-- Name: trial_user_attributes trial_user_attributes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_pkey PRIMARY KEY (trial_user_attribute_id);


--
-- Name: trial_user_attributes trial_user_attributes_trial_id_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_trial_id_key_key UNIQUE (trial_id, key);


--
-- Name: trial_values trial_values_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_pkey PRIMARY KEY (trial_value_id);


--
-- Name: trial_values trial_values_trial_id_objective_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_trial_id_objective_key UNIQUE (trial_id, objective);


--
-- Name: trials trials_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trials
    ADD CONSTRAINT trials_pkey PRIMARY KEY (trial_id);


--
-- Name: version_info version_info_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.version_info
    ADD CONSTRAINT version_info_pkey PRIMARY KEY (version_info_id);


--
-- Name: ix_osanas_references_key_digest; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_osanas_references_key_digest ON public.osanas_references USING btree (key_digest);


--
-- Name: ix_studies_study_name; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX ix_studies_study_name ON public.studies USING btree (study_name);


--
-- Name: ix_trials_study_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_trials_study_id ON public.trials USING btree (study_id);


--
-- Name: osanas_candidates osanas_candidates_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_candidates
    ADD CONSTRAINT osanas_candidates_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.osanas_studies(id);


--
-- Name: osanas_duplicates osanas_duplicates_evaluation_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_duplicates
    ADD CONSTRAINT osanas_duplicates_evaluation_id_fkey FOREIGN KEY (evaluation_id) REFERENCES public.osanas_evaluations(id);


--
-- Name: osanas_duplicates osanas_duplicates_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_duplicates
    ADD CONSTRAINT osanas_duplicates_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.osanas_studies(id);


--
-- Name: osanas_epochs osanas_epochs_evaluation_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_epochs
    ADD CONSTRAINT osanas_epochs_evaluation_id_fkey FOREIGN KEY (evaluation_id) REFERENCES public.osanas_evaluations(id);


--
-- Name: osanas_evaluations osanas_evaluations_candidate_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_evaluations
    ADD CONSTRAINT osanas_evaluations_candidate_id_fkey FOREIGN KEY (candidate_id) REFERENCES public.osanas_candidates(id);


--
-- Name: osanas_evaluations osanas_evaluations_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_evaluations
    ADD CONSTRAINT osanas_evaluations_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.osanas_studies(id);


--
-- Name: osanas_leases osanas_leases_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_leases
    ADD CONSTRAINT osanas_leases_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.osanas_studies(id);


--
-- Name: osanas_references osanas_references_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.osanas_references
    ADD CONSTRAINT osanas_references_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.osanas_studies(id);


--
-- Name: study_directions study_directions_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);


--
-- Name: study_system_attributes study_system_attributes_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);


--
-- Name: study_user_attributes study_user_attributes_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);


--
-- Name: trial_heartbeats trial_heartbeats_trial_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);


--
-- Name: trial_intermediate_values trial_intermediate_values_trial_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);


--
-- Name: trial_params trial_params_trial_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);


--
-- Name: trial_system_attributes trial_system_attributes_trial_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);


--
-- Name: trial_user_attributes trial_user_attributes_trial_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);


--
-- Name: trial_values trial_values_trial_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);


--
-- Name: trials trials_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trials
    ADD CONSTRAINT trials_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);


--
-- PostgreSQL database dump complete
--


