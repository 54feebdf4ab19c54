SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.accounts (
    id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    transliterate boolean DEFAULT false NOT NULL,
    max_segments integer DEFAULT 10 NOT NULL,
    messages_per_second integer,
    default_region text,
    bare_international boolean DEFAULT false NOT NULL,
    CONSTRAINT accounts_default_region_check CHECK ((default_region ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT accounts_id_check CHECK ((id ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'::text)),
    CONSTRAINT accounts_max_segments_check CHECK (((max_segments >= 1) AND (max_segments <= 255))),
    CONSTRAINT accounts_messages_per_second_check CHECK ((messages_per_second > 0))
);
CREATE TABLE public.api_keys (
    id text NOT NULL,
    account_id text NOT NULL,
    digest bytea NOT NULL,
    is_test boolean DEFAULT false NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone
);
CREATE TABLE public.bus_log (
    partition_id integer NOT NULL,
    last_offset bigint NOT NULL,
    records integer NOT NULL,
    appended_at timestamp with time zone NOT NULL,
    block bytea NOT NULL
)
WITH (autovacuum_vacuum_threshold='4000', autovacuum_vacuum_scale_factor='0.1', autovacuum_vacuum_insert_threshold='-1', vacuum_truncate=off, autovacuum_analyze_threshold='20000', autovacuum_analyze_scale_factor='0.5', toast_tuple_target='8160');
ALTER TABLE ONLY public.bus_log ALTER COLUMN block SET STORAGE EXTERNAL;
CREATE TABLE public.bus_partition (
    id integer NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint DEFAULT 0 NOT NULL,
    first_offset bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='10', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_scale_factor='0');
CREATE SEQUENCE public.bus_partition_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.bus_partition_id_seq OWNED BY public.bus_partition.id;
CREATE TABLE public.bus_position (
    group_name text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    completed bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    claimed bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='10', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_scale_factor='0');
CREATE TABLE public.client_refs (
    account_id text NOT NULL,
    client_ref text NOT NULL,
    message_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.closed_days (
    day_at bigint NOT NULL
);
CREATE TABLE public.dead_records (
    id bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    value bytea NOT NULL,
    error text NOT NULL,
    at bigint NOT NULL
);
ALTER TABLE public.dead_records ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dead_records_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.deferred (
    id bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    topic text NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    message_id uuid NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000');
ALTER TABLE public.deferred ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.deferred_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.idempotency (
    account_id text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status integer NOT NULL,
    body bytea NOT NULL,
    created_at timestamp with time zone NOT NULL
)
WITH (fillfactor='90');
CREATE TABLE public.lane_leases (
    carrier text NOT NULL,
    shard integer NOT NULL,
    owner text NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE public.message_events (
    message_id uuid NOT NULL,
    log_offset bigint NOT NULL,
    at bigint NOT NULL,
    type text NOT NULL,
    detail jsonb NOT NULL
)
PARTITION BY RANGE (message_id);
CREATE TABLE public.message_events_20261121 (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
)
WITH (fillfactor='100');
CREATE TABLE public.message_events_20261122 (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
)
WITH (fillfactor='100');
CREATE TABLE public.message_events_20261123 (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
)
WITH (fillfactor='100');
CREATE TABLE public.message_events_20261124 (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
)
WITH (fillfactor='100');
CREATE TABLE public.message_events_20261125 (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
)
WITH (fillfactor='100');
CREATE TABLE public.message_events_20261126 (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
)
WITH (fillfactor='100');
CREATE TABLE public.message_events_20261127 (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
)
WITH (fillfactor='100');
CREATE TABLE public.message_events_20261128 (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
)
WITH (fillfactor='100');
CREATE TABLE public.message_events_20261129 (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
)
WITH (fillfactor='100');
CREATE TABLE public.message_events_default (
    message_id uuid CONSTRAINT message_events_message_id_not_null NOT NULL,
    log_offset bigint CONSTRAINT message_events_log_offset_not_null NOT NULL,
    at bigint CONSTRAINT message_events_at_not_null NOT NULL,
    type text CONSTRAINT message_events_type_not_null NOT NULL,
    detail jsonb CONSTRAINT message_events_detail_not_null NOT NULL
);
CREATE TABLE public.messages (
    id uuid NOT NULL,
    account_id text NOT NULL,
    message_class text NOT NULL,
    channel text NOT NULL,
    source text NOT NULL,
    recipient text NOT NULL,
    sender text NOT NULL,
    text text NOT NULL,
    encoding text NOT NULL,
    segment_count smallint NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint NOT NULL,
    valid_until bigint NOT NULL,
    send_at bigint,
    first_state text NOT NULL,
    first_carrier text NOT NULL,
    route_reason text NOT NULL,
    state text NOT NULL,
    state_rank smallint NOT NULL,
    partial boolean NOT NULL,
    carrier text,
    attempt smallint NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text NOT NULL
)
PARTITION BY RANGE (id);
CREATE TABLE public.messages_20261121 (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.messages_20261122 (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.messages_20261123 (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.messages_20261124 (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.messages_20261125 (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.messages_20261126 (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.messages_20261127 (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.messages_20261128 (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.messages_20261129 (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.messages_default (
    id uuid CONSTRAINT messages_id_not_null NOT NULL,
    account_id text CONSTRAINT messages_account_id_not_null NOT NULL,
    message_class text CONSTRAINT messages_message_class_not_null NOT NULL,
    channel text CONSTRAINT messages_channel_not_null NOT NULL,
    source text CONSTRAINT messages_source_not_null NOT NULL,
    recipient text CONSTRAINT messages_recipient_not_null NOT NULL,
    sender text CONSTRAINT messages_sender_not_null NOT NULL,
    text text CONSTRAINT messages_text_not_null NOT NULL,
    encoding text CONSTRAINT messages_encoding_not_null NOT NULL,
    segment_count smallint CONSTRAINT messages_segment_count_not_null NOT NULL,
    client_ref text,
    batch_id uuid,
    request_id text,
    metadata jsonb,
    accepted_at bigint CONSTRAINT messages_accepted_at_not_null NOT NULL,
    valid_until bigint CONSTRAINT messages_valid_until_not_null NOT NULL,
    send_at bigint,
    first_state text CONSTRAINT messages_first_state_not_null NOT NULL,
    first_carrier text CONSTRAINT messages_first_carrier_not_null NOT NULL,
    route_reason text CONSTRAINT messages_route_reason_not_null NOT NULL,
    state text CONSTRAINT messages_state_not_null NOT NULL,
    state_rank smallint CONSTRAINT messages_state_rank_not_null NOT NULL,
    partial boolean CONSTRAINT messages_partial_not_null NOT NULL,
    carrier text,
    attempt smallint CONSTRAINT messages_attempt_not_null NOT NULL,
    submitted_at bigint,
    final_at bigint,
    error text CONSTRAINT messages_error_not_null NOT NULL
)
WITH (fillfactor='45');
CREATE TABLE public.parked_receipts (
    id bigint NOT NULL,
    carrier text NOT NULL,
    carrier_message_id text NOT NULL,
    second_id text,
    parked_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    value bytea NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000');
ALTER TABLE public.parked_receipts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.parked_receipts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.submissions (
    message_id uuid NOT NULL,
    segment_index smallint NOT NULL,
    attempt smallint NOT NULL,
    segment_count smallint NOT NULL,
    carrier text NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text NOT NULL,
    sequence_number bigint NOT NULL,
    outcome text NOT NULL,
    status text NOT NULL,
    state text NOT NULL,
    submitted_at bigint NOT NULL,
    response_ms integer NOT NULL,
    receipt_state text,
    receipt json
)
PARTITION BY RANGE (message_id);
CREATE TABLE public.submissions_20261121 (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
CREATE TABLE public.submissions_20261122 (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
CREATE TABLE public.submissions_20261123 (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
CREATE TABLE public.submissions_20261124 (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
CREATE TABLE public.submissions_20261125 (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
CREATE TABLE public.submissions_20261126 (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
CREATE TABLE public.submissions_20261127 (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
CREATE TABLE public.submissions_20261128 (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
CREATE TABLE public.submissions_20261129 (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
CREATE TABLE public.submissions_default (
    message_id uuid CONSTRAINT submissions_message_id_not_null NOT NULL,
    segment_index smallint CONSTRAINT submissions_segment_index_not_null NOT NULL,
    attempt smallint CONSTRAINT submissions_attempt_not_null NOT NULL,
    segment_count smallint CONSTRAINT submissions_segment_count_not_null NOT NULL,
    carrier text CONSTRAINT submissions_carrier_not_null NOT NULL,
    carrier_message_id text,
    raw_id text,
    bind text CONSTRAINT submissions_bind_not_null NOT NULL,
    sequence_number bigint CONSTRAINT submissions_sequence_number_not_null NOT NULL,
    outcome text CONSTRAINT submissions_outcome_not_null NOT NULL,
    status text CONSTRAINT submissions_status_not_null NOT NULL,
    state text CONSTRAINT submissions_state_not_null NOT NULL,
    submitted_at bigint CONSTRAINT submissions_submitted_at_not_null NOT NULL,
    response_ms integer CONSTRAINT submissions_response_ms_not_null NOT NULL,
    receipt_state text,
    receipt json
)
WITH (fillfactor='35');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_20261121 FOR VALUES FROM ('01a1fb67-1800-7000-8000-000000000000') TO ('01a2008d-7400-7000-8000-000000000000');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_20261122 FOR VALUES FROM ('01a2008d-7400-7000-8000-000000000000') TO ('01a205b3-d000-7000-8000-000000000000');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_20261123 FOR VALUES FROM ('01a205b3-d000-7000-8000-000000000000') TO ('01a20ada-2c00-7000-8000-000000000000');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_20261124 FOR VALUES FROM ('01a20ada-2c00-7000-8000-000000000000') TO ('01a21000-8800-7000-8000-000000000000');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_20261125 FOR VALUES FROM ('01a21000-8800-7000-8000-000000000000') TO ('01a21526-e400-7000-8000-000000000000');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_20261126 FOR VALUES FROM ('01a21526-e400-7000-8000-000000000000') TO ('01a21a4d-4000-7000-8000-000000000000');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_20261127 FOR VALUES FROM ('01a21a4d-4000-7000-8000-000000000000') TO ('01a21f73-9c00-7000-8000-000000000000');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_20261128 FOR VALUES FROM ('01a21f73-9c00-7000-8000-000000000000') TO ('01a22499-f800-7000-8000-000000000000');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_20261129 FOR VALUES FROM ('01a22499-f800-7000-8000-000000000000') TO ('01a229c0-5400-7000-8000-000000000000');
ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_default DEFAULT;
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_20261121 FOR VALUES FROM ('01a1fb67-1800-7000-8000-000000000000') TO ('01a2008d-7400-7000-8000-000000000000');
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_20261122 FOR VALUES FROM ('01a2008d-7400-7000-8000-000000000000') TO ('01a205b3-d000-7000-8000-000000000000');
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_20261123 FOR VALUES FROM ('01a205b3-d000-7000-8000-000000000000') TO ('01a20ada-2c00-7000-8000-000000000000');
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_20261124 FOR VALUES FROM ('01a20ada-2c00-7000-8000-000000000000') TO ('01a21000-8800-7000-8000-000000000000');
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_20261125 FOR VALUES FROM ('01a21000-8800-7000-8000-000000000000') TO ('01a21526-e400-7000-8000-000000000000');
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_20261126 FOR VALUES FROM ('01a21526-e400-7000-8000-000000000000') TO ('01a21a4d-4000-7000-8000-000000000000');
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_20261127 FOR VALUES FROM ('01a21a4d-4000-7000-8000-000000000000') TO ('01a21f73-9c00-7000-8000-000000000000');
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_20261128 FOR VALUES FROM ('01a21f73-9c00-7000-8000-000000000000') TO ('01a22499-f800-7000-8000-000000000000');
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_20261129 FOR VALUES FROM ('01a22499-f800-7000-8000-000000000000') TO ('01a229c0-5400-7000-8000-000000000000');
ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_default DEFAULT;
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_20261121 FOR VALUES FROM ('01a1fb67-1800-7000-8000-000000000000') TO ('01a2008d-7400-7000-8000-000000000000');
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_20261122 FOR VALUES FROM ('01a2008d-7400-7000-8000-000000000000') TO ('01a205b3-d000-7000-8000-000000000000');
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_20261123 FOR VALUES FROM ('01a205b3-d000-7000-8000-000000000000') TO ('01a20ada-2c00-7000-8000-000000000000');
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_20261124 FOR VALUES FROM ('01a20ada-2c00-7000-8000-000000000000') TO ('01a21000-8800-7000-8000-000000000000');
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_20261125 FOR VALUES FROM ('01a21000-8800-7000-8000-000000000000') TO ('01a21526-e400-7000-8000-000000000000');
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_20261126 FOR VALUES FROM ('01a21526-e400-7000-8000-000000000000') TO ('01a21a4d-4000-7000-8000-000000000000');
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_20261127 FOR VALUES FROM ('01a21a4d-4000-7000-8000-000000000000') TO ('01a21f73-9c00-7000-8000-000000000000');
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_20261128 FOR VALUES FROM ('01a21f73-9c00-7000-8000-000000000000') TO ('01a22499-f800-7000-8000-000000000000');
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_20261129 FOR VALUES FROM ('01a22499-f800-7000-8000-000000000000') TO ('01a229c0-5400-7000-8000-000000000000');
ALTER TABLE ONLY public.submissions ATTACH PARTITION public.submissions_default DEFAULT;
ALTER TABLE ONLY public.bus_partition ALTER COLUMN id SET DEFAULT nextval('public.bus_partition_id_seq'::regclass);
INSERT INTO public.accounts VALUES
	('demo', '2026-11-22 11:38:30.205+00', false, 10, NULL, NULL, false);
INSERT INTO public.bus_log VALUES
	(1, 0, 1, '2026-11-22 11:38:32.413085+00', '\000\000\002]{"v":1,"t":"accepted","d":{"message":{"id":"01a2030c-fc00-774d-b05f-31988f1f0471","account_id":"demo","message_class":"otp","recipient":"525512000020","sender":"CAUDAL","text":"Folio 0","encoding":"gsm7","segment_count":1,"accepted_at":1795347512320,"valid_until":1795347812320,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fc00-78b0-bc3c-b41d0f45b567","request_id":"req_9b5177578edbb117","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(4, 0, 1, '2026-11-22 11:38:32.413085+00', '\000\000\002?{"v":1,"t":"message","d":{"id":"01a2030c-fc00-774d-b05f-31988f1f0471","account_id":"demo","message_class":"otp","recipient":"525512000020","sender":"CAUDAL","text":"Folio 0","encoding":"gsm7","segment_count":1,"accepted_at":1795347512320,"valid_until":1795347812320,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fc00-78b0-bc3c-b41d0f45b567","request_id":"req_9b5177578edbb117","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 1, 1, '2026-11-22 11:38:32.435043+00', '\000\000\002g{"v":1,"t":"accepted","d":{"message":{"id":"01a2030c-fc6a-7b61-9568-8a5d23257333","account_id":"demo","message_class":"transactional","recipient":"525512000021","sender":"CAUDAL","text":"Folio 1","encoding":"gsm7","segment_count":1,"accepted_at":1795347512426,"valid_until":1795433912426,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fc6a-733d-8939-aca3b6ed5fdc","request_id":"req_cca6f8254f1c6848","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(5, 0, 1, '2026-11-22 11:38:32.435043+00', '\000\000\002I{"v":1,"t":"message","d":{"id":"01a2030c-fc6a-7b61-9568-8a5d23257333","account_id":"demo","message_class":"transactional","recipient":"525512000021","sender":"CAUDAL","text":"Folio 1","encoding":"gsm7","segment_count":1,"accepted_at":1795347512426,"valid_until":1795433912426,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fc6a-733d-8939-aca3b6ed5fdc","request_id":"req_cca6f8254f1c6848","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 2, 1, '2026-11-22 11:38:32.456039+00', '\000\000\002e{"v":1,"t":"accepted","d":{"message":{"id":"01a2030c-fc7f-7683-a9fe-5135f27e0d98","account_id":"demo","message_class":"collections","recipient":"525512000022","sender":"CAUDAL","text":"Folio 2","encoding":"gsm7","segment_count":1,"accepted_at":1795347512447,"valid_until":1795433912447,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fc7f-778f-ad79-cff082167799","request_id":"req_e51e0b00b11b6d84","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(2, 0, 1, '2026-11-22 11:38:32.456039+00', '\000\000\002G{"v":1,"t":"message","d":{"id":"01a2030c-fc7f-7683-a9fe-5135f27e0d98","account_id":"demo","message_class":"collections","recipient":"525512000022","sender":"CAUDAL","text":"Folio 2","encoding":"gsm7","segment_count":1,"accepted_at":1795347512447,"valid_until":1795433912447,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fc7f-778f-ad79-cff082167799","request_id":"req_e51e0b00b11b6d84","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 3, 1, '2026-11-22 11:38:32.500601+00', '\000\000\002c{"v":1,"t":"accepted","d":{"message":{"id":"01a2030c-fcaa-748d-b97f-1d6c9efee92d","account_id":"demo","message_class":"marketing","recipient":"525512000023","sender":"CAUDAL","text":"Folio 3","encoding":"gsm7","segment_count":1,"accepted_at":1795347512490,"valid_until":1795433912490,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fcaa-7d06-b6b1-cc87b70ef4af","request_id":"req_5d22e509ac42c2d6","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(3, 0, 1, '2026-11-22 11:38:32.500601+00', '\000\000\002E{"v":1,"t":"message","d":{"id":"01a2030c-fcaa-748d-b97f-1d6c9efee92d","account_id":"demo","message_class":"marketing","recipient":"525512000023","sender":"CAUDAL","text":"Folio 3","encoding":"gsm7","segment_count":1,"accepted_at":1795347512490,"valid_until":1795433912490,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fcaa-7d06-b6b1-cc87b70ef4af","request_id":"req_5d22e509ac42c2d6","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 4, 1, '2026-11-22 11:38:32.52527+00', '\000\000\003I{"v":1,"t":"accepted","d":{"message":{"id":"01a2030c-fcc8-71e3-9f26-6dc2d4b13f34","account_id":"demo","message_class":"otp","recipient":"525512000024","sender":"CAUDAL","text":"Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ","encoding":"gsm7","segment_count":2,"accepted_at":1795347512520,"valid_until":1795347812520,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fcc8-73d5-9326-136c21cb868c","request_id":"req_02cf86bf39771a21","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(4, 1, 1, '2026-11-22 11:38:32.52527+00', '\000\000\003+{"v":1,"t":"message","d":{"id":"01a2030c-fcc8-71e3-9f26-6dc2d4b13f34","account_id":"demo","message_class":"otp","recipient":"525512000024","sender":"CAUDAL","text":"Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ","encoding":"gsm7","segment_count":2,"accepted_at":1795347512520,"valid_until":1795347812520,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fcc8-73d5-9326-136c21cb868c","request_id":"req_02cf86bf39771a21","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 5, 1, '2026-11-22 11:38:32.556316+00', '\000\000\003S{"v":1,"t":"accepted","d":{"message":{"id":"01a2030c-fce1-7637-9d94-84d971d094a0","account_id":"demo","message_class":"transactional","recipient":"525512000025","sender":"CAUDAL","text":"Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ","encoding":"gsm7","segment_count":2,"accepted_at":1795347512545,"valid_until":1795433912545,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fce1-7b15-8893-b92e9e6b0e92","request_id":"req_d37e660df7557f48","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(5, 1, 1, '2026-11-22 11:38:32.556316+00', '\000\000\0035{"v":1,"t":"message","d":{"id":"01a2030c-fce1-7637-9d94-84d971d094a0","account_id":"demo","message_class":"transactional","recipient":"525512000025","sender":"CAUDAL","text":"Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ","encoding":"gsm7","segment_count":2,"accepted_at":1795347512545,"valid_until":1795433912545,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fce1-7b15-8893-b92e9e6b0e92","request_id":"req_d37e660df7557f48","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 6, 1, '2026-11-22 11:38:32.588384+00', '\000\000\003Q{"v":1,"t":"accepted","d":{"message":{"id":"01a2030c-fd01-7b7a-a23a-61be10b52006","account_id":"demo","message_class":"collections","recipient":"525512000026","sender":"CAUDAL","text":"Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ","encoding":"gsm7","segment_count":2,"accepted_at":1795347512577,"valid_until":1795433912577,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fd01-7401-8b77-d0a7ccc0ba29","request_id":"req_e59ebbb622b0e399","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(2, 1, 1, '2026-11-22 11:38:32.588384+00', '\000\000\0033{"v":1,"t":"message","d":{"id":"01a2030c-fd01-7b7a-a23a-61be10b52006","account_id":"demo","message_class":"collections","recipient":"525512000026","sender":"CAUDAL","text":"Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ","encoding":"gsm7","segment_count":2,"accepted_at":1795347512577,"valid_until":1795433912577,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fd01-7401-8b77-d0a7ccc0ba29","request_id":"req_e59ebbb622b0e399","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 7, 1, '2026-11-22 11:38:32.617369+00', '\000\000\003O{"v":1,"t":"accepted","d":{"message":{"id":"01a2030c-fd1a-7211-bd63-bb91e4142658","account_id":"demo","message_class":"marketing","recipient":"525512000027","sender":"CAUDAL","text":"Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ","encoding":"gsm7","segment_count":2,"accepted_at":1795347512602,"valid_until":1795433912602,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fd1a-7a64-9bb8-c8e902c148a3","request_id":"req_ac450612a77b1c44","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(3, 1, 1, '2026-11-22 11:38:32.617369+00', '\000\000\0031{"v":1,"t":"message","d":{"id":"01a2030c-fd1a-7211-bd63-bb91e4142658","account_id":"demo","message_class":"marketing","recipient":"525512000027","sender":"CAUDAL","text":"Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ","encoding":"gsm7","segment_count":2,"accepted_at":1795347512602,"valid_until":1795433912602,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030c-fd1a-7a64-9bb8-c8e902c148a3","request_id":"req_ac450612a77b1c44","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 9, 2, '2026-11-22 11:38:32.635087+00', '\000\000\001\262\000\000\001\262{"v":1,"t":"attempted","d":{"message_id":"01a2030c-fc00-774d-b05f-31988f1f0471","at":1795347512440,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347512440,"outcome":"submitted","status":"","bind":"trx2","sequence_number":2,"response_ms":12,"carrier_message_id":"1879048192","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030c-fc6a-7b61-9568-8a5d23257333","at":1795347512461,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347512461,"outcome":"submitted","status":"","bind":"trx1","sequence_number":2,"response_ms":12,"carrier_message_id":"1879048193","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 11, 2, '2026-11-22 11:38:32.695379+00', '\000\000\002r\000\000\002r{"v":1,"t":"attempted","d":{"message_id":"01a2030c-fcc8-71e3-9f26-6dc2d4b13f34","at":1795347512603,"carrier":"telco","attempt":1,"segment_count":2,"segments":[{"segment_index":1,"state":"submitted","at":1795347512571,"outcome":"submitted","status":"","bind":"trx2","sequence_number":3,"response_ms":12,"carrier_message_id":"1879048194","raw_id":null},{"segment_index":2,"state":"submitted","at":1795347512603,"outcome":"submitted","status":"","bind":"trx1","sequence_number":3,"response_ms":23,"carrier_message_id":"1879048195","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030c-fce1-7637-9d94-84d971d094a0","at":1795347512654,"carrier":"telco","attempt":1,"segment_count":2,"segments":[{"segment_index":1,"state":"submitted","at":1795347512615,"outcome":"submitted","status":"","bind":"trx2","sequence_number":4,"response_ms":12,"carrier_message_id":"1879048196","raw_id":null},{"segment_index":2,"state":"submitted","at":1795347512654,"outcome":"submitted","status":"","bind":"trx1","sequence_number":4,"response_ms":32,"carrier_message_id":"1879048197","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(7, 1, 2, '2026-11-22 11:38:32.705765+00', '\000\000\001\277\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048192","message_state":"DELIVERED","received_at":1795347512542,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048192 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048193","message_state":"DELIVERED","received_at":1795347512565,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048193 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(7, 4, 3, '2026-11-22 11:38:32.738421+00', '\000\000\001\277\000\000\001\277\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048194","message_state":"DELIVERED","received_at":1795347512678,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048194 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048195","message_state":"DELIVERED","received_at":1795347512720,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048195 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048196","message_state":"DELIVERED","received_at":1795347512720,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048196 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(7, 5, 1, '2026-11-22 11:38:32.765405+00', '\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048197","message_state":"DELIVERED","received_at":1795347512754,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048197 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(7, 6, 1, '2026-11-22 11:38:32.807064+00', '\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048198","message_state":"DELIVERED","received_at":1795347512798,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048198 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(1, 15, 2, '2026-11-22 11:38:32.893753+00', '\000\000\002r\000\000\002q{"v":1,"t":"attempted","d":{"message_id":"01a2030c-fd01-7b7a-a23a-61be10b52006","at":1795347512786,"carrier":"telco","attempt":1,"segment_count":2,"segments":[{"segment_index":1,"state":"submitted","at":1795347512786,"outcome":"submitted","status":"","bind":"trx2","sequence_number":6,"response_ms":31,"carrier_message_id":"1879048200","raw_id":null},{"segment_index":2,"state":"submitted","at":1795347512786,"outcome":"submitted","status":"","bind":"trx1","sequence_number":6,"response_ms":23,"carrier_message_id":"1879048201","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030c-fd1a-7211-bd63-bb91e4142658","at":1795347512809,"carrier":"telco","attempt":1,"segment_count":2,"segments":[{"segment_index":1,"state":"submitted","at":1795347512799,"outcome":"submitted","status":"","bind":"trx2","sequence_number":7,"response_ms":12,"carrier_message_id":"1879048202","raw_id":null},{"segment_index":2,"state":"submitted","at":1795347512809,"outcome":"submitted","status":"","bind":"trx1","sequence_number":7,"response_ms":6,"carrier_message_id":"1879048203","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 13, 2, '2026-11-22 11:38:32.787574+00', '\000\000\001\262\000\000\001\262{"v":1,"t":"attempted","d":{"message_id":"01a2030c-fc7f-7683-a9fe-5135f27e0d98","at":1795347512690,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347512690,"outcome":"submitted","status":"","bind":"trx2","sequence_number":5,"response_ms":19,"carrier_message_id":"1879048198","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030c-fcaa-748d-b97f-1d6c9efee92d","at":1795347512754,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347512754,"outcome":"submitted","status":"","bind":"trx1","sequence_number":5,"response_ms":35,"carrier_message_id":"1879048199","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(7, 7, 1, '2026-11-22 11:38:32.863342+00', '\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048199","message_state":"DELIVERED","received_at":1795347512834,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048199 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(7, 9, 2, '2026-11-22 11:38:32.885322+00', '\000\000\001\277\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048200","message_state":"DELIVERED","received_at":1795347512876,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048200 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048201","message_state":"DELIVERED","received_at":1795347512876,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048201 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(7, 10, 1, '2026-11-22 11:38:32.900252+00', '\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048202","message_state":"DELIVERED","received_at":1795347512895,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048202 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(7, 11, 1, '2026-11-22 11:38:32.917412+00', '\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048203","message_state":"DELIVERED","received_at":1795347512910,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048203 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(1, 19, 4, '2026-11-22 11:38:33.107695+00', '\000\000\000\367\000\000\000\367\000\000\000\367\000\000\000\367{"v":1,"t":"receipted","d":{"message_id":"01a2030c-fc00-774d-b05f-31988f1f0471","at":1795347512542,"segment_index":1,"attempt":1,"segment_state":"delivered","message_state":"delivered","effect":"applied","error":"","partial":false,"receipt":null}}{"v":1,"t":"receipted","d":{"message_id":"01a2030c-fc6a-7b61-9568-8a5d23257333","at":1795347512565,"segment_index":1,"attempt":1,"segment_state":"delivered","message_state":"delivered","effect":"applied","error":"","partial":false,"receipt":null}}{"v":1,"t":"receipted","d":{"message_id":"01a2030c-fcc8-71e3-9f26-6dc2d4b13f34","at":1795347512720,"segment_index":2,"attempt":1,"segment_state":"delivered","message_state":"delivered","effect":"applied","error":"","partial":false,"receipt":null}}{"v":1,"t":"receipted","d":{"message_id":"01a2030c-fce1-7637-9d94-84d971d094a0","at":1795347512754,"segment_index":2,"attempt":1,"segment_state":"delivered","message_state":"delivered","effect":"applied","error":"","partial":false,"receipt":null}}'),
	(1, 23, 4, '2026-11-22 11:38:33.278858+00', '\000\000\000\367\000\000\000\367\000\000\000\367\000\000\000\367{"v":1,"t":"receipted","d":{"message_id":"01a2030c-fc7f-7683-a9fe-5135f27e0d98","at":1795347512798,"segment_index":1,"attempt":1,"segment_state":"delivered","message_state":"delivered","effect":"applied","error":"","partial":false,"receipt":null}}{"v":1,"t":"receipted","d":{"message_id":"01a2030c-fcaa-748d-b97f-1d6c9efee92d","at":1795347512834,"segment_index":1,"attempt":1,"segment_state":"delivered","message_state":"delivered","effect":"applied","error":"","partial":false,"receipt":null}}{"v":1,"t":"receipted","d":{"message_id":"01a2030c-fd01-7b7a-a23a-61be10b52006","at":1795347512876,"segment_index":2,"attempt":1,"segment_state":"delivered","message_state":"delivered","effect":"applied","error":"","partial":false,"receipt":null}}{"v":1,"t":"receipted","d":{"message_id":"01a2030c-fd1a-7211-bd63-bb91e4142658","at":1795347512910,"segment_index":2,"attempt":1,"segment_state":"delivered","message_state":"delivered","effect":"applied","error":"","partial":false,"receipt":null}}'),
	(1, 31, 2, '2026-11-22 11:38:33.54942+00', '\000\000\001\261\000\000\001\262{"v":1,"t":"attempted","d":{"message_id":"01a2030d-006f-71ca-877d-3744e4886e2f","at":1795347513494,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347513494,"outcome":"submitted","status":"","bind":"trx2","sequence_number":8,"response_ms":8,"carrier_message_id":"1879048204","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-006f-740e-8d8e-264088ac3cd5","at":1795347513525,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347513525,"outcome":"submitted","status":"","bind":"trx1","sequence_number":8,"response_ms":13,"carrier_message_id":"1879048205","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 35, 2, '2026-11-22 11:38:33.59153+00', '\000\000\001\262\000\000\001\261{"v":1,"t":"attempted","d":{"message_id":"01a2030d-0096-7a14-b51f-6f84889a2c99","at":1795347513546,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347513546,"outcome":"submitted","status":"","bind":"trx1","sequence_number":9,"response_ms":14,"carrier_message_id":"1879048206","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-0096-786b-ad42-2018a607515e","at":1795347513555,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347513555,"outcome":"submitted","status":"","bind":"trx2","sequence_number":9,"response_ms":8,"carrier_message_id":"1879048207","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 66, 1, '2026-11-22 11:38:35.478828+00', '\000\000\001\262{"v":1,"t":"attempted","d":{"message_id":"01a2030d-0817-7133-b740-f49e74614af6","at":1795347515470,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515470,"outcome":"submitted","status":"","bind":"trx2","sequence_number":16,"response_ms":9,"carrier_message_id":"1879048222","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 25, 2, '2026-11-22 11:38:33.466845+00', '\000\000\002]\000\000\002]{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-006f-71ca-877d-3744e4886e2f","account_id":"demo","message_class":"otp","recipient":"525512000028","sender":"CAUDAL","text":"Folio 8","encoding":"gsm7","segment_count":1,"accepted_at":1795347513455,"valid_until":1795347813455,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-006f-7f9f-b4fa-9826dfcc3bae","request_id":"req_185f20a6b3666928","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-006f-740e-8d8e-264088ac3cd5","account_id":"demo","message_class":"otp","recipient":"525512000029","sender":"CAUDAL","text":"Folio 9","encoding":"gsm7","segment_count":1,"accepted_at":1795347513455,"valid_until":1795347813455,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-006f-7f9f-b4fa-9826dfcc3bae","request_id":"req_185f20a6b3666928","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(4, 3, 2, '2026-11-22 11:38:33.466845+00', '\000\000\002?\000\000\002?{"v":1,"t":"message","d":{"id":"01a2030d-006f-71ca-877d-3744e4886e2f","account_id":"demo","message_class":"otp","recipient":"525512000028","sender":"CAUDAL","text":"Folio 8","encoding":"gsm7","segment_count":1,"accepted_at":1795347513455,"valid_until":1795347813455,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-006f-7f9f-b4fa-9826dfcc3bae","request_id":"req_185f20a6b3666928","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-006f-740e-8d8e-264088ac3cd5","account_id":"demo","message_class":"otp","recipient":"525512000029","sender":"CAUDAL","text":"Folio 9","encoding":"gsm7","segment_count":1,"accepted_at":1795347513455,"valid_until":1795347813455,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-006f-7f9f-b4fa-9826dfcc3bae","request_id":"req_185f20a6b3666928","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 27, 2, '2026-11-22 11:38:33.506987+00', '\000\000\002h\000\000\002h{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0096-7a14-b51f-6f84889a2c99","account_id":"demo","message_class":"transactional","recipient":"525512000030","sender":"CAUDAL","text":"Folio 10","encoding":"gsm7","segment_count":1,"accepted_at":1795347513494,"valid_until":1795433913494,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0096-7750-aadb-8a4739a814e3","request_id":"req_3ad038d1f1f557e6","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0096-786b-ad42-2018a607515e","account_id":"demo","message_class":"transactional","recipient":"525512000031","sender":"CAUDAL","text":"Folio 11","encoding":"gsm7","segment_count":1,"accepted_at":1795347513494,"valid_until":1795433913494,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0096-7750-aadb-8a4739a814e3","request_id":"req_3ad038d1f1f557e6","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(5, 3, 2, '2026-11-22 11:38:33.506987+00', '\000\000\002J\000\000\002J{"v":1,"t":"message","d":{"id":"01a2030d-0096-7a14-b51f-6f84889a2c99","account_id":"demo","message_class":"transactional","recipient":"525512000030","sender":"CAUDAL","text":"Folio 10","encoding":"gsm7","segment_count":1,"accepted_at":1795347513494,"valid_until":1795433913494,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0096-7750-aadb-8a4739a814e3","request_id":"req_3ad038d1f1f557e6","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0096-786b-ad42-2018a607515e","account_id":"demo","message_class":"transactional","recipient":"525512000031","sender":"CAUDAL","text":"Folio 11","encoding":"gsm7","segment_count":1,"accepted_at":1795347513494,"valid_until":1795433913494,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0096-7750-aadb-8a4739a814e3","request_id":"req_3ad038d1f1f557e6","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 29, 2, '2026-11-22 11:38:33.546412+00', '\000\000\002f\000\000\002f{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-00bf-7d73-9a93-5bdbbdc3b47b","account_id":"demo","message_class":"collections","recipient":"525512000032","sender":"CAUDAL","text":"Folio 12","encoding":"gsm7","segment_count":1,"accepted_at":1795347513535,"valid_until":1795433913535,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-00bf-728e-8981-bc11eb50f62e","request_id":"req_7919115bd980fd74","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-00bf-79fc-aa12-52bc00964622","account_id":"demo","message_class":"collections","recipient":"525512000033","sender":"CAUDAL","text":"Folio 13","encoding":"gsm7","segment_count":1,"accepted_at":1795347513535,"valid_until":1795433913535,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-00bf-728e-8981-bc11eb50f62e","request_id":"req_7919115bd980fd74","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(2, 3, 2, '2026-11-22 11:38:33.546412+00', '\000\000\002H\000\000\002H{"v":1,"t":"message","d":{"id":"01a2030d-00bf-7d73-9a93-5bdbbdc3b47b","account_id":"demo","message_class":"collections","recipient":"525512000032","sender":"CAUDAL","text":"Folio 12","encoding":"gsm7","segment_count":1,"accepted_at":1795347513535,"valid_until":1795433913535,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-00bf-728e-8981-bc11eb50f62e","request_id":"req_7919115bd980fd74","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-00bf-79fc-aa12-52bc00964622","account_id":"demo","message_class":"collections","recipient":"525512000033","sender":"CAUDAL","text":"Folio 13","encoding":"gsm7","segment_count":1,"accepted_at":1795347513535,"valid_until":1795433913535,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-00bf-728e-8981-bc11eb50f62e","request_id":"req_7919115bd980fd74","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 67, 1, '2026-11-22 11:38:35.574426+00', '\000\000\001\263{"v":1,"t":"attempted","d":{"message_id":"01a2030d-082e-7b7c-bd52-1e1b6dfe7e80","at":1795347515527,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515527,"outcome":"submitted","status":"","bind":"trx1","sequence_number":18,"response_ms":27,"carrier_message_id":"1879048223","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 33, 2, '2026-11-22 11:38:33.581793+00', '\000\000\002d\000\000\002d{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-00e4-7a95-84d5-e9afe0a184e8","account_id":"demo","message_class":"marketing","recipient":"525512000034","sender":"CAUDAL","text":"Folio 14","encoding":"gsm7","segment_count":1,"accepted_at":1795347513572,"valid_until":1795433913572,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-00e4-7a60-b310-fd1ee7157f3a","request_id":"req_4a7c5cd892a3a631","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-00e4-7f30-9ff8-dec5fe009ee5","account_id":"demo","message_class":"marketing","recipient":"525512000035","sender":"CAUDAL","text":"Folio 15","encoding":"gsm7","segment_count":1,"accepted_at":1795347513572,"valid_until":1795433913572,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-00e4-7a60-b310-fd1ee7157f3a","request_id":"req_4a7c5cd892a3a631","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(3, 3, 2, '2026-11-22 11:38:33.581793+00', '\000\000\002F\000\000\002F{"v":1,"t":"message","d":{"id":"01a2030d-00e4-7a95-84d5-e9afe0a184e8","account_id":"demo","message_class":"marketing","recipient":"525512000034","sender":"CAUDAL","text":"Folio 14","encoding":"gsm7","segment_count":1,"accepted_at":1795347513572,"valid_until":1795433913572,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-00e4-7a60-b310-fd1ee7157f3a","request_id":"req_4a7c5cd892a3a631","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-00e4-7f30-9ff8-dec5fe009ee5","account_id":"demo","message_class":"marketing","recipient":"525512000035","sender":"CAUDAL","text":"Folio 15","encoding":"gsm7","segment_count":1,"accepted_at":1795347513572,"valid_until":1795433913572,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-00e4-7a60-b310-fd1ee7157f3a","request_id":"req_4a7c5cd892a3a631","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 40, 1, '2026-11-22 11:38:34.024155+00', '\000\000\002j{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-022e-799a-9dc1-beb4fb9d1d61","account_id":"demo","message_class":"otp","recipient":"525512000036","sender":"CAUDAL","text":"Folio 16","encoding":"gsm7","segment_count":1,"accepted_at":1795347513902,"valid_until":1795355013892,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":1795354713892,"client_ref":null,"batch_id":"01a2030d-022e-7941-8dd8-8c23ea9874d9","request_id":"req_cc1928292a7359cd","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"scheduled"}}'),
	(1, 41, 1, '2026-11-22 11:38:34.070923+00', '\000\000\002t{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-02bc-74e6-8858-26f149e93076","account_id":"demo","message_class":"transactional","recipient":"525512000037","sender":"CAUDAL","text":"Folio 17","encoding":"gsm7","segment_count":1,"accepted_at":1795347514044,"valid_until":1795441113892,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":1795354713892,"client_ref":null,"batch_id":"01a2030d-02bc-7d36-ba8c-41cb62c5210c","request_id":"req_a7f26211aa8a98df","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"scheduled"}}'),
	(1, 42, 1, '2026-11-22 11:38:34.109018+00', '\000\000\002r{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-02ee-77b0-bb89-08d62d449a48","account_id":"demo","message_class":"collections","recipient":"525512000038","sender":"CAUDAL","text":"Folio 18","encoding":"gsm7","segment_count":1,"accepted_at":1795347514094,"valid_until":1795441113892,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":1795354713892,"client_ref":null,"batch_id":"01a2030d-02ee-7699-bcb3-674cf417d478","request_id":"req_218b71bccf8e0239","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"scheduled"}}'),
	(1, 43, 1, '2026-11-22 11:38:34.167155+00', '\000\000\002p{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-031e-743e-bd59-fa219bd273fe","account_id":"demo","message_class":"marketing","recipient":"525512000039","sender":"CAUDAL","text":"Folio 19","encoding":"gsm7","segment_count":1,"accepted_at":1795347514142,"valid_until":1795441113892,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":1795354713892,"client_ref":null,"batch_id":"01a2030d-031e-780c-9ce7-c5754c5da600","request_id":"req_059806f2aa26c8b7","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"scheduled"}}'),
	(1, 38, 3, '2026-11-22 11:38:33.687788+00', '\000\000\001\263\000\000\001\263\000\000\001\262{"v":1,"t":"attempted","d":{"message_id":"01a2030d-00bf-7d73-9a93-5bdbbdc3b47b","at":1795347513634,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347513634,"outcome":"submitted","status":"","bind":"trx1","sequence_number":10,"response_ms":19,"carrier_message_id":"1879048208","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-00bf-79fc-aa12-52bc00964622","at":1795347513666,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347513666,"outcome":"submitted","status":"","bind":"trx1","sequence_number":11,"response_ms":21,"carrier_message_id":"1879048209","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-00e4-7a95-84d5-e9afe0a184e8","at":1795347513666,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347513666,"outcome":"submitted","status":"","bind":"trx1","sequence_number":12,"response_ms":7,"carrier_message_id":"1879048210","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 39, 1, '2026-11-22 11:38:33.754051+00', '\000\000\001\263{"v":1,"t":"attempted","d":{"message_id":"01a2030d-00e4-7f30-9ff8-dec5fe009ee5","at":1795347513706,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347513706,"outcome":"submitted","status":"","bind":"trx2","sequence_number":10,"response_ms":31,"carrier_message_id":"1879048211","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(7, 14, 3, '2026-11-22 11:38:34.37784+00', '\000\000\001\277\000\000\001\277\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048220","message_state":"DELIVERED","received_at":1795347514346,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048220 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048221","message_state":"DELIVERED","received_at":1795347514366,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048221 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048222","message_state":"DELIVERED","received_at":1795347514377,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048222 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(7, 15, 1, '2026-11-22 11:38:34.410117+00', '\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048223","message_state":"DELIVERED","received_at":1795347514398,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048223 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}');
INSERT INTO public.bus_log VALUES
	(1, 45, 2, '2026-11-22 11:38:34.918087+00', '\000\000\002^\000\000\002^{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-05c5-7c54-8045-07b8361d795f","account_id":"demo","message_class":"otp","recipient":"525512000040","sender":"CAUDAL","text":"Folio 20","encoding":"gsm7","segment_count":1,"accepted_at":1795347514821,"valid_until":1795347814821,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-05c5-7bd7-a9e6-b3bfaaaa1d7e","request_id":"req_563b8216ffc4a0fb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-05c5-7958-8104-cb9a69581506","account_id":"demo","message_class":"otp","recipient":"525512000041","sender":"CAUDAL","text":"Folio 21","encoding":"gsm7","segment_count":1,"accepted_at":1795347514821,"valid_until":1795347814821,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-05c5-7bd7-a9e6-b3bfaaaa1d7e","request_id":"req_563b8216ffc4a0fb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(4, 5, 2, '2026-11-22 11:38:34.918087+00', '\000\000\002@\000\000\002@{"v":1,"t":"message","d":{"id":"01a2030d-05c5-7c54-8045-07b8361d795f","account_id":"demo","message_class":"otp","recipient":"525512000040","sender":"CAUDAL","text":"Folio 20","encoding":"gsm7","segment_count":1,"accepted_at":1795347514821,"valid_until":1795347814821,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-05c5-7bd7-a9e6-b3bfaaaa1d7e","request_id":"req_563b8216ffc4a0fb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-05c5-7958-8104-cb9a69581506","account_id":"demo","message_class":"otp","recipient":"525512000041","sender":"CAUDAL","text":"Folio 21","encoding":"gsm7","segment_count":1,"accepted_at":1795347514821,"valid_until":1795347814821,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-05c5-7bd7-a9e6-b3bfaaaa1d7e","request_id":"req_563b8216ffc4a0fb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 47, 2, '2026-11-22 11:38:34.945771+00', '\000\000\002h\000\000\002h{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0636-7faa-9990-bcb11ad20170","account_id":"demo","message_class":"transactional","recipient":"525512000042","sender":"CAUDAL","text":"Folio 22","encoding":"gsm7","segment_count":1,"accepted_at":1795347514934,"valid_until":1795433914934,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0636-77e8-9498-dcfdaaba7e79","request_id":"req_e452e851bc809fb2","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0636-749a-92c1-cfd54a53dd62","account_id":"demo","message_class":"transactional","recipient":"525512000043","sender":"CAUDAL","text":"Folio 23","encoding":"gsm7","segment_count":1,"accepted_at":1795347514934,"valid_until":1795433914934,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0636-77e8-9498-dcfdaaba7e79","request_id":"req_e452e851bc809fb2","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(5, 5, 2, '2026-11-22 11:38:34.945771+00', '\000\000\002J\000\000\002J{"v":1,"t":"message","d":{"id":"01a2030d-0636-7faa-9990-bcb11ad20170","account_id":"demo","message_class":"transactional","recipient":"525512000042","sender":"CAUDAL","text":"Folio 22","encoding":"gsm7","segment_count":1,"accepted_at":1795347514934,"valid_until":1795433914934,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0636-77e8-9498-dcfdaaba7e79","request_id":"req_e452e851bc809fb2","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0636-749a-92c1-cfd54a53dd62","account_id":"demo","message_class":"transactional","recipient":"525512000043","sender":"CAUDAL","text":"Folio 23","encoding":"gsm7","segment_count":1,"accepted_at":1795347514934,"valid_until":1795433914934,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0636-77e8-9498-dcfdaaba7e79","request_id":"req_e452e851bc809fb2","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 49, 2, '2026-11-22 11:38:34.980469+00', '\000\000\002f\000\000\002f{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0654-7da6-8ffb-e56d969b68e9","account_id":"demo","message_class":"collections","recipient":"525512000044","sender":"CAUDAL","text":"Folio 24","encoding":"gsm7","segment_count":1,"accepted_at":1795347514964,"valid_until":1795433914964,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0654-769a-bd81-8f23e266fe83","request_id":"req_34e11f123dadfaaf","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0654-7c78-80b8-c33be963f06c","account_id":"demo","message_class":"collections","recipient":"525512000045","sender":"CAUDAL","text":"Folio 25","encoding":"gsm7","segment_count":1,"accepted_at":1795347514964,"valid_until":1795433914964,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0654-769a-bd81-8f23e266fe83","request_id":"req_34e11f123dadfaaf","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(2, 5, 2, '2026-11-22 11:38:34.980469+00', '\000\000\002H\000\000\002H{"v":1,"t":"message","d":{"id":"01a2030d-0654-7da6-8ffb-e56d969b68e9","account_id":"demo","message_class":"collections","recipient":"525512000044","sender":"CAUDAL","text":"Folio 24","encoding":"gsm7","segment_count":1,"accepted_at":1795347514964,"valid_until":1795433914964,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0654-769a-bd81-8f23e266fe83","request_id":"req_34e11f123dadfaaf","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0654-7c78-80b8-c33be963f06c","account_id":"demo","message_class":"collections","recipient":"525512000045","sender":"CAUDAL","text":"Folio 25","encoding":"gsm7","segment_count":1,"accepted_at":1795347514964,"valid_until":1795433914964,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0654-769a-bd81-8f23e266fe83","request_id":"req_34e11f123dadfaaf","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 51, 2, '2026-11-22 11:38:35.004585+00', '\000\000\002d\000\000\002d{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-066e-7788-96a1-0d32e7dda56c","account_id":"demo","message_class":"marketing","recipient":"525512000046","sender":"CAUDAL","text":"Folio 26","encoding":"gsm7","segment_count":1,"accepted_at":1795347514990,"valid_until":1795433914990,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-066e-74ac-ad29-ac31034c6037","request_id":"req_3955f6fa1649028d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-066e-7ce8-af20-e6e706191908","account_id":"demo","message_class":"marketing","recipient":"525512000047","sender":"CAUDAL","text":"Folio 27","encoding":"gsm7","segment_count":1,"accepted_at":1795347514990,"valid_until":1795433914990,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-066e-74ac-ad29-ac31034c6037","request_id":"req_3955f6fa1649028d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(3, 5, 2, '2026-11-22 11:38:35.004585+00', '\000\000\002F\000\000\002F{"v":1,"t":"message","d":{"id":"01a2030d-066e-7788-96a1-0d32e7dda56c","account_id":"demo","message_class":"marketing","recipient":"525512000046","sender":"CAUDAL","text":"Folio 26","encoding":"gsm7","segment_count":1,"accepted_at":1795347514990,"valid_until":1795433914990,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-066e-74ac-ad29-ac31034c6037","request_id":"req_3955f6fa1649028d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-066e-7ce8-af20-e6e706191908","account_id":"demo","message_class":"marketing","recipient":"525512000047","sender":"CAUDAL","text":"Folio 27","encoding":"gsm7","segment_count":1,"accepted_at":1795347514990,"valid_until":1795433914990,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-066e-74ac-ad29-ac31034c6037","request_id":"req_3955f6fa1649028d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 60, 1, '2026-11-22 11:38:35.368455+00', '\000\000\002^{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-07e0-7e01-85fe-1b20aa3cba5c","account_id":"demo","message_class":"otp","recipient":"525512000048","sender":"CAUDAL","text":"Folio 28","encoding":"gsm7","segment_count":1,"accepted_at":1795347515360,"valid_until":1795347815360,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-07e0-7dcc-87c9-d3e47ad4f5d7","request_id":"req_4b873fe67f5288aa","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(4, 6, 1, '2026-11-22 11:38:35.368455+00', '\000\000\002@{"v":1,"t":"message","d":{"id":"01a2030d-07e0-7e01-85fe-1b20aa3cba5c","account_id":"demo","message_class":"otp","recipient":"525512000048","sender":"CAUDAL","text":"Folio 28","encoding":"gsm7","segment_count":1,"accepted_at":1795347515360,"valid_until":1795347815360,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-07e0-7dcc-87c9-d3e47ad4f5d7","request_id":"req_4b873fe67f5288aa","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 54, 3, '2026-11-22 11:38:35.005895+00', '\000\000\001\262\000\000\001\262\000\000\001\263{"v":1,"t":"attempted","d":{"message_id":"01a2030d-05c5-7c54-8045-07b8361d795f","at":1795347514938,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347514938,"outcome":"submitted","status":"","bind":"trx1","sequence_number":13,"response_ms":6,"carrier_message_id":"1879048212","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-05c5-7958-8104-cb9a69581506","at":1795347514960,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347514960,"outcome":"submitted","status":"","bind":"trx2","sequence_number":11,"response_ms":8,"carrier_message_id":"1879048213","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-0636-7faa-9990-bcb11ad20170","at":1795347514990,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347514990,"outcome":"submitted","status":"","bind":"trx2","sequence_number":12,"response_ms":18,"carrier_message_id":"1879048214","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 55, 1, '2026-11-22 11:38:35.042812+00', '\000\000\001\263{"v":1,"t":"attempted","d":{"message_id":"01a2030d-0636-749a-92c1-cfd54a53dd62","at":1795347515005,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515005,"outcome":"submitted","status":"","bind":"trx1","sequence_number":14,"response_ms":14,"carrier_message_id":"1879048215","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 59, 4, '2026-11-22 11:38:35.152276+00', '\000\000\001\263\000\000\001\263\000\000\001\263\000\000\001\263{"v":1,"t":"attempted","d":{"message_id":"01a2030d-0654-7da6-8ffb-e56d969b68e9","at":1795347515083,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515083,"outcome":"submitted","status":"","bind":"trx2","sequence_number":13,"response_ms":24,"carrier_message_id":"1879048216","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-0654-7c78-80b8-c33be963f06c","at":1795347515106,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515106,"outcome":"submitted","status":"","bind":"trx1","sequence_number":15,"response_ms":23,"carrier_message_id":"1879048217","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-066e-7788-96a1-0d32e7dda56c","at":1795347515118,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515118,"outcome":"submitted","status":"","bind":"trx2","sequence_number":14,"response_ms":11,"carrier_message_id":"1879048218","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-066e-7ce8-af20-e6e706191908","at":1795347515138,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515138,"outcome":"submitted","status":"","bind":"trx1","sequence_number":16,"response_ms":19,"carrier_message_id":"1879048219","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 61, 1, '2026-11-22 11:38:35.395052+00', '\000\000\002h{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-07f4-7a0d-aacc-19d80cf1de79","account_id":"demo","message_class":"transactional","recipient":"525512000049","sender":"CAUDAL","text":"Folio 29","encoding":"gsm7","segment_count":1,"accepted_at":1795347515380,"valid_until":1795433915380,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-07f4-7f4d-b00d-ef3a8a4c9704","request_id":"req_c87253d17accd1c3","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(5, 6, 1, '2026-11-22 11:38:35.395052+00', '\000\000\002J{"v":1,"t":"message","d":{"id":"01a2030d-07f4-7a0d-aacc-19d80cf1de79","account_id":"demo","message_class":"transactional","recipient":"525512000049","sender":"CAUDAL","text":"Folio 29","encoding":"gsm7","segment_count":1,"accepted_at":1795347515380,"valid_until":1795433915380,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-07f4-7f4d-b00d-ef3a8a4c9704","request_id":"req_c87253d17accd1c3","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 62, 1, '2026-11-22 11:38:35.423254+00', '\000\000\002f{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0817-7133-b740-f49e74614af6","account_id":"demo","message_class":"collections","recipient":"525512000050","sender":"CAUDAL","text":"Folio 30","encoding":"gsm7","segment_count":1,"accepted_at":1795347515415,"valid_until":1795433915415,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0817-782f-acbd-9f3e3ab6aed9","request_id":"req_f4978fbc6e7f9d8d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(2, 6, 1, '2026-11-22 11:38:35.423254+00', '\000\000\002H{"v":1,"t":"message","d":{"id":"01a2030d-0817-7133-b740-f49e74614af6","account_id":"demo","message_class":"collections","recipient":"525512000050","sender":"CAUDAL","text":"Folio 30","encoding":"gsm7","segment_count":1,"accepted_at":1795347515415,"valid_until":1795433915415,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0817-782f-acbd-9f3e3ab6aed9","request_id":"req_f4978fbc6e7f9d8d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 64, 2, '2026-11-22 11:38:35.440493+00', '\000\000\001\263\000\000\001\263{"v":1,"t":"attempted","d":{"message_id":"01a2030d-07e0-7e01-85fe-1b20aa3cba5c","at":1795347515400,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515400,"outcome":"submitted","status":"","bind":"trx2","sequence_number":15,"response_ms":14,"carrier_message_id":"1879048220","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-07f4-7a0d-aacc-19d80cf1de79","at":1795347515426,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515426,"outcome":"submitted","status":"","bind":"trx1","sequence_number":17,"response_ms":15,"carrier_message_id":"1879048221","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 65, 1, '2026-11-22 11:38:35.450819+00', '\000\000\002d{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-082e-7b7c-bd52-1e1b6dfe7e80","account_id":"demo","message_class":"marketing","recipient":"525512000051","sender":"CAUDAL","text":"Folio 31","encoding":"gsm7","segment_count":1,"accepted_at":1795347515438,"valid_until":1795433915438,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-082e-740e-920a-3386f7719ee9","request_id":"req_496868bf134310a8","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(7, 29, 14, '2026-11-22 11:38:35.222778+00', '\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048204","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048204 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048206","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048206 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048208","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048208 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048210","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048210 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048212","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048212 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048214","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048214 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048216","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048216 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048205","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048205 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048207","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048207 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048209","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048209 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048211","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048211 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048213","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048213 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048215","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048215 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048217","message_state":"DELIVERED","received_at":1795347515196,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048217 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(7, 31, 2, '2026-11-22 11:38:35.258802+00', '\000\000\001\277\000\000\001\277{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048218","message_state":"DELIVERED","received_at":1795347515227,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048218 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx2","carrier_message_id":"1879048219","message_state":"DELIVERED","received_at":1795347515227,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048219 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(3, 6, 1, '2026-11-22 11:38:35.450819+00', '\000\000\002F{"v":1,"t":"message","d":{"id":"01a2030d-082e-7b7c-bd52-1e1b6dfe7e80","account_id":"demo","message_class":"marketing","recipient":"525512000051","sender":"CAUDAL","text":"Folio 31","encoding":"gsm7","segment_count":1,"accepted_at":1795347515438,"valid_until":1795433915438,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-082e-740e-920a-3386f7719ee9","request_id":"req_496868bf134310a8","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 68, 1, '2026-11-22 11:38:35.632897+00', '\000\000\002^{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-08e8-7837-8773-dfed31db0f7d","account_id":"demo","message_class":"otp","recipient":"525512000052","sender":"CAUDAL","text":"Folio 32","encoding":"gsm7","segment_count":1,"accepted_at":1795347515624,"valid_until":1795347815624,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-08e8-726b-a0af-065622c898b6","request_id":"req_c00c9386506886e9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(4, 7, 1, '2026-11-22 11:38:35.632897+00', '\000\000\002@{"v":1,"t":"message","d":{"id":"01a2030d-08e8-7837-8773-dfed31db0f7d","account_id":"demo","message_class":"otp","recipient":"525512000052","sender":"CAUDAL","text":"Folio 32","encoding":"gsm7","segment_count":1,"accepted_at":1795347515624,"valid_until":1795347815624,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-08e8-726b-a0af-065622c898b6","request_id":"req_c00c9386506886e9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 69, 1, '2026-11-22 11:38:35.658768+00', '\000\000\002h{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0901-7267-83d5-8b3539c606fe","account_id":"demo","message_class":"transactional","recipient":"525512000053","sender":"CAUDAL","text":"Folio 33","encoding":"gsm7","segment_count":1,"accepted_at":1795347515649,"valid_until":1795433915649,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0901-7cad-bd39-94c63bdb4e89","request_id":"req_b9692a0302ba7864","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(5, 7, 1, '2026-11-22 11:38:35.658768+00', '\000\000\002J{"v":1,"t":"message","d":{"id":"01a2030d-0901-7267-83d5-8b3539c606fe","account_id":"demo","message_class":"transactional","recipient":"525512000053","sender":"CAUDAL","text":"Folio 33","encoding":"gsm7","segment_count":1,"accepted_at":1795347515649,"valid_until":1795433915649,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0901-7cad-bd39-94c63bdb4e89","request_id":"req_b9692a0302ba7864","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 70, 1, '2026-11-22 11:38:35.675167+00', '\000\000\002f{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0911-7744-96df-af438f73fc55","account_id":"demo","message_class":"collections","recipient":"525512000054","sender":"CAUDAL","text":"Folio 34","encoding":"gsm7","segment_count":1,"accepted_at":1795347515665,"valid_until":1795433915665,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0911-79ea-b173-6b3c998861b3","request_id":"req_5e54d8c14b5a1530","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(2, 7, 1, '2026-11-22 11:38:35.675167+00', '\000\000\002H{"v":1,"t":"message","d":{"id":"01a2030d-0911-7744-96df-af438f73fc55","account_id":"demo","message_class":"collections","recipient":"525512000054","sender":"CAUDAL","text":"Folio 34","encoding":"gsm7","segment_count":1,"accepted_at":1795347515665,"valid_until":1795433915665,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0911-79ea-b173-6b3c998861b3","request_id":"req_5e54d8c14b5a1530","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 73, 1, '2026-11-22 11:38:35.707596+00', '\000\000\002d{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-092c-7e28-8cd3-811d77129547","account_id":"demo","message_class":"marketing","recipient":"525512000055","sender":"CAUDAL","text":"Folio 35","encoding":"gsm7","segment_count":1,"accepted_at":1795347515692,"valid_until":1795433915692,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-092c-7343-adde-dc9263e9ccfb","request_id":"req_b9b665d1d3de626d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(3, 7, 1, '2026-11-22 11:38:35.707596+00', '\000\000\002F{"v":1,"t":"message","d":{"id":"01a2030d-092c-7e28-8cd3-811d77129547","account_id":"demo","message_class":"marketing","recipient":"525512000055","sender":"CAUDAL","text":"Folio 35","encoding":"gsm7","segment_count":1,"accepted_at":1795347515692,"valid_until":1795433915692,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-092c-7343-adde-dc9263e9ccfb","request_id":"req_b9b665d1d3de626d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 72, 2, '2026-11-22 11:38:35.704387+00', '\000\000\001\263\000\000\001\263{"v":1,"t":"attempted","d":{"message_id":"01a2030d-08e8-7837-8773-dfed31db0f7d","at":1795347515669,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515669,"outcome":"submitted","status":"","bind":"trx2","sequence_number":17,"response_ms":18,"carrier_message_id":"1879048224","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-0901-7267-83d5-8b3539c606fe","at":1795347515683,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515683,"outcome":"submitted","status":"","bind":"trx1","sequence_number":19,"response_ms":12,"carrier_message_id":"1879048225","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 75, 2, '2026-11-22 11:38:35.78138+00', '\000\000\001\263\000\000\001\262{"v":1,"t":"attempted","d":{"message_id":"01a2030d-0911-7744-96df-af438f73fc55","at":1795347515724,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515724,"outcome":"submitted","status":"","bind":"trx2","sequence_number":18,"response_ms":10,"carrier_message_id":"1879048226","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}{"v":1,"t":"attempted","d":{"message_id":"01a2030d-092c-7e28-8cd3-811d77129547","at":1795347515743,"carrier":"telco","attempt":1,"segment_count":1,"segments":[{"segment_index":1,"state":"submitted","at":1795347515743,"outcome":"submitted","status":"","bind":"trx1","sequence_number":20,"response_ms":8,"carrier_message_id":"1879048227","raw_id":null}],"state":"submitted","reason":"","retries":[],"retry_at":null,"next_carrier":null}}'),
	(1, 85, 10, '2026-11-22 11:38:36.872892+00', '\000\000\002^\000\000\002^\000\000\002^\000\000\002^\000\000\002^\000\000\002^\000\000\002^\000\000\002^\000\000\002^\000\000\002^{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-7f12-9274-b7d4a6327880","account_id":"demo","message_class":"otp","recipient":"525512000056","sender":"CAUDAL","text":"Folio 36","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-76cd-a89e-193e715f2cdc","account_id":"demo","message_class":"otp","recipient":"525512000057","sender":"CAUDAL","text":"Folio 37","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-73e8-9f4d-ccc29938b134","account_id":"demo","message_class":"otp","recipient":"525512000058","sender":"CAUDAL","text":"Folio 38","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-7c2b-b661-6ef514694d96","account_id":"demo","message_class":"otp","recipient":"525512000059","sender":"CAUDAL","text":"Folio 39","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-7ea3-a6e1-eeeacf811067","account_id":"demo","message_class":"otp","recipient":"525512000060","sender":"CAUDAL","text":"Folio 40","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-7fb6-802c-99c3c06780cf","account_id":"demo","message_class":"otp","recipient":"525512000061","sender":"CAUDAL","text":"Folio 41","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-7a7c-8b7a-95f010cd3e0f","account_id":"demo","message_class":"otp","recipient":"525512000062","sender":"CAUDAL","text":"Folio 42","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-75df-8612-9311e2a00e25","account_id":"demo","message_class":"otp","recipient":"525512000063","sender":"CAUDAL","text":"Folio 43","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-7459-a054-3f89f36a5380","account_id":"demo","message_class":"otp","recipient":"525512000064","sender":"CAUDAL","text":"Folio 44","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0dbf-7d2f-90d5-1d1462408848","account_id":"demo","message_class":"otp","recipient":"525512000065","sender":"CAUDAL","text":"Folio 45","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(4, 17, 10, '2026-11-22 11:38:36.872892+00', '\000\000\002@\000\000\002@\000\000\002@\000\000\002@\000\000\002@\000\000\002@\000\000\002@\000\000\002@\000\000\002@\000\000\002@{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-7f12-9274-b7d4a6327880","account_id":"demo","message_class":"otp","recipient":"525512000056","sender":"CAUDAL","text":"Folio 36","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-76cd-a89e-193e715f2cdc","account_id":"demo","message_class":"otp","recipient":"525512000057","sender":"CAUDAL","text":"Folio 37","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-73e8-9f4d-ccc29938b134","account_id":"demo","message_class":"otp","recipient":"525512000058","sender":"CAUDAL","text":"Folio 38","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-7c2b-b661-6ef514694d96","account_id":"demo","message_class":"otp","recipient":"525512000059","sender":"CAUDAL","text":"Folio 39","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-7ea3-a6e1-eeeacf811067","account_id":"demo","message_class":"otp","recipient":"525512000060","sender":"CAUDAL","text":"Folio 40","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-7fb6-802c-99c3c06780cf","account_id":"demo","message_class":"otp","recipient":"525512000061","sender":"CAUDAL","text":"Folio 41","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-7a7c-8b7a-95f010cd3e0f","account_id":"demo","message_class":"otp","recipient":"525512000062","sender":"CAUDAL","text":"Folio 42","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-75df-8612-9311e2a00e25","account_id":"demo","message_class":"otp","recipient":"525512000063","sender":"CAUDAL","text":"Folio 43","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-7459-a054-3f89f36a5380","account_id":"demo","message_class":"otp","recipient":"525512000064","sender":"CAUDAL","text":"Folio 44","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0dbf-7d2f-90d5-1d1462408848","account_id":"demo","message_class":"otp","recipient":"525512000065","sender":"CAUDAL","text":"Folio 45","encoding":"gsm7","segment_count":1,"accepted_at":1795347516863,"valid_until":1795347816863,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0dbf-789f-85de-57a88a10efb6","request_id":"req_5edd9fbd7e6615d9","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 95, 10, '2026-11-22 11:38:36.90445+00', '\000\000\002h\000\000\002h\000\000\002h\000\000\002h\000\000\002h\000\000\002h\000\000\002h\000\000\002h\000\000\002h\000\000\002h{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-7fd0-b0f4-7b135eefac65","account_id":"demo","message_class":"transactional","recipient":"525512000066","sender":"CAUDAL","text":"Folio 46","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-7b0b-b0bc-caf658666caf","account_id":"demo","message_class":"transactional","recipient":"525512000067","sender":"CAUDAL","text":"Folio 47","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-7b2c-9e99-117ae2451462","account_id":"demo","message_class":"transactional","recipient":"525512000068","sender":"CAUDAL","text":"Folio 48","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-7615-a08e-945f264f1556","account_id":"demo","message_class":"transactional","recipient":"525512000069","sender":"CAUDAL","text":"Folio 49","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-76a0-a8fb-3c9366b09d30","account_id":"demo","message_class":"transactional","recipient":"525512000070","sender":"CAUDAL","text":"Folio 50","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-79e0-832f-51d1524a9da1","account_id":"demo","message_class":"transactional","recipient":"525512000071","sender":"CAUDAL","text":"Folio 51","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-70a2-a342-5a14735c5b4e","account_id":"demo","message_class":"transactional","recipient":"525512000072","sender":"CAUDAL","text":"Folio 52","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-706c-9b0e-e2c25be25324","account_id":"demo","message_class":"transactional","recipient":"525512000073","sender":"CAUDAL","text":"Folio 53","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-7f68-8b87-faf4758f2cbc","account_id":"demo","message_class":"transactional","recipient":"525512000074","sender":"CAUDAL","text":"Folio 54","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0de3-7d1c-9f9c-fd937d50f8e5","account_id":"demo","message_class":"transactional","recipient":"525512000075","sender":"CAUDAL","text":"Folio 55","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(5, 17, 10, '2026-11-22 11:38:36.90445+00', '\000\000\002J\000\000\002J\000\000\002J\000\000\002J\000\000\002J\000\000\002J\000\000\002J\000\000\002J\000\000\002J\000\000\002J{"v":1,"t":"message","d":{"id":"01a2030d-0de3-7fd0-b0f4-7b135eefac65","account_id":"demo","message_class":"transactional","recipient":"525512000066","sender":"CAUDAL","text":"Folio 46","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0de3-7b0b-b0bc-caf658666caf","account_id":"demo","message_class":"transactional","recipient":"525512000067","sender":"CAUDAL","text":"Folio 47","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0de3-7b2c-9e99-117ae2451462","account_id":"demo","message_class":"transactional","recipient":"525512000068","sender":"CAUDAL","text":"Folio 48","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0de3-7615-a08e-945f264f1556","account_id":"demo","message_class":"transactional","recipient":"525512000069","sender":"CAUDAL","text":"Folio 49","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0de3-76a0-a8fb-3c9366b09d30","account_id":"demo","message_class":"transactional","recipient":"525512000070","sender":"CAUDAL","text":"Folio 50","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0de3-79e0-832f-51d1524a9da1","account_id":"demo","message_class":"transactional","recipient":"525512000071","sender":"CAUDAL","text":"Folio 51","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0de3-70a2-a342-5a14735c5b4e","account_id":"demo","message_class":"transactional","recipient":"525512000072","sender":"CAUDAL","text":"Folio 52","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0de3-706c-9b0e-e2c25be25324","account_id":"demo","message_class":"transactional","recipient":"525512000073","sender":"CAUDAL","text":"Folio 53","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0de3-7f68-8b87-faf4758f2cbc","account_id":"demo","message_class":"transactional","recipient":"525512000074","sender":"CAUDAL","text":"Folio 54","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0de3-7d1c-9f9c-fd937d50f8e5","account_id":"demo","message_class":"transactional","recipient":"525512000075","sender":"CAUDAL","text":"Folio 55","encoding":"gsm7","segment_count":1,"accepted_at":1795347516899,"valid_until":1795433916899,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0de3-7af8-9add-de7476bc9010","request_id":"req_2a39aa5641a8defb","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 105, 10, '2026-11-22 11:38:36.932562+00', '\000\000\002f\000\000\002f\000\000\002f\000\000\002f\000\000\002f\000\000\002f\000\000\002f\000\000\002f\000\000\002f\000\000\002f{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-7839-89db-6204299891d0","account_id":"demo","message_class":"collections","recipient":"525512000076","sender":"CAUDAL","text":"Folio 56","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-75ad-bfa7-522aebcabf5f","account_id":"demo","message_class":"collections","recipient":"525512000077","sender":"CAUDAL","text":"Folio 57","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-7ea1-90a2-ad1c94ce0bc7","account_id":"demo","message_class":"collections","recipient":"525512000078","sender":"CAUDAL","text":"Folio 58","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-7085-95c3-2d759ea3c2a7","account_id":"demo","message_class":"collections","recipient":"525512000079","sender":"CAUDAL","text":"Folio 59","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-7d65-a972-e8caca8afa32","account_id":"demo","message_class":"collections","recipient":"525512000080","sender":"CAUDAL","text":"Folio 60","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-7ccc-8047-2a1cedb9a6d4","account_id":"demo","message_class":"collections","recipient":"525512000081","sender":"CAUDAL","text":"Folio 61","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-7b6b-ad41-1258355b48a4","account_id":"demo","message_class":"collections","recipient":"525512000082","sender":"CAUDAL","text":"Folio 62","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-707a-aeba-4f73ca52055c","account_id":"demo","message_class":"collections","recipient":"525512000083","sender":"CAUDAL","text":"Folio 63","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-7b55-9da9-729e6cf9bc64","account_id":"demo","message_class":"collections","recipient":"525512000084","sender":"CAUDAL","text":"Folio 64","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e00-7256-b257-cce485ff8a2c","account_id":"demo","message_class":"collections","recipient":"525512000085","sender":"CAUDAL","text":"Folio 65","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(2, 17, 10, '2026-11-22 11:38:36.932562+00', '\000\000\002H\000\000\002H\000\000\002H\000\000\002H\000\000\002H\000\000\002H\000\000\002H\000\000\002H\000\000\002H\000\000\002H{"v":1,"t":"message","d":{"id":"01a2030d-0e00-7839-89db-6204299891d0","account_id":"demo","message_class":"collections","recipient":"525512000076","sender":"CAUDAL","text":"Folio 56","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e00-75ad-bfa7-522aebcabf5f","account_id":"demo","message_class":"collections","recipient":"525512000077","sender":"CAUDAL","text":"Folio 57","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e00-7ea1-90a2-ad1c94ce0bc7","account_id":"demo","message_class":"collections","recipient":"525512000078","sender":"CAUDAL","text":"Folio 58","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e00-7085-95c3-2d759ea3c2a7","account_id":"demo","message_class":"collections","recipient":"525512000079","sender":"CAUDAL","text":"Folio 59","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e00-7d65-a972-e8caca8afa32","account_id":"demo","message_class":"collections","recipient":"525512000080","sender":"CAUDAL","text":"Folio 60","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e00-7ccc-8047-2a1cedb9a6d4","account_id":"demo","message_class":"collections","recipient":"525512000081","sender":"CAUDAL","text":"Folio 61","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e00-7b6b-ad41-1258355b48a4","account_id":"demo","message_class":"collections","recipient":"525512000082","sender":"CAUDAL","text":"Folio 62","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e00-707a-aeba-4f73ca52055c","account_id":"demo","message_class":"collections","recipient":"525512000083","sender":"CAUDAL","text":"Folio 63","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e00-7b55-9da9-729e6cf9bc64","account_id":"demo","message_class":"collections","recipient":"525512000084","sender":"CAUDAL","text":"Folio 64","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e00-7256-b257-cce485ff8a2c","account_id":"demo","message_class":"collections","recipient":"525512000085","sender":"CAUDAL","text":"Folio 65","encoding":"gsm7","segment_count":1,"accepted_at":1795347516928,"valid_until":1795433916928,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e00-7cbe-a3b6-da304d9c116f","request_id":"req_30a94d18d1ee951d","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}'),
	(1, 115, 10, '2026-11-22 11:38:36.953412+00', '\000\000\002d\000\000\002d\000\000\002d\000\000\002d\000\000\002d\000\000\002d\000\000\002d\000\000\002d\000\000\002d\000\000\002d{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-77d4-8f83-8b40461e15e0","account_id":"demo","message_class":"marketing","recipient":"525512000086","sender":"CAUDAL","text":"Folio 66","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-740c-8410-bceca30158ee","account_id":"demo","message_class":"marketing","recipient":"525512000087","sender":"CAUDAL","text":"Folio 67","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-7c78-857e-633a01c4ac81","account_id":"demo","message_class":"marketing","recipient":"525512000088","sender":"CAUDAL","text":"Folio 68","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-7224-b9c1-4a3b589cd1d3","account_id":"demo","message_class":"marketing","recipient":"525512000089","sender":"CAUDAL","text":"Folio 69","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-73ef-8de1-e4f7deedf1b8","account_id":"demo","message_class":"marketing","recipient":"525512000090","sender":"CAUDAL","text":"Folio 70","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-7b15-b76e-509bb68ce8c9","account_id":"demo","message_class":"marketing","recipient":"525512000091","sender":"CAUDAL","text":"Folio 71","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-764d-b237-777a4307b722","account_id":"demo","message_class":"marketing","recipient":"525512000092","sender":"CAUDAL","text":"Folio 72","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-71d1-948e-3df90f5e4038","account_id":"demo","message_class":"marketing","recipient":"525512000093","sender":"CAUDAL","text":"Folio 73","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-7d59-bba6-dbfdfb7ed3ed","account_id":"demo","message_class":"marketing","recipient":"525512000094","sender":"CAUDAL","text":"Folio 74","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}{"v":1,"t":"accepted","d":{"message":{"id":"01a2030d-0e13-7503-b86b-bff04ebb5ee9","account_id":"demo","message_class":"marketing","recipient":"525512000095","sender":"CAUDAL","text":"Folio 75","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"},"state":"queued"}}'),
	(3, 17, 10, '2026-11-22 11:38:36.953412+00', '\000\000\002F\000\000\002F\000\000\002F\000\000\002F\000\000\002F\000\000\002F\000\000\002F\000\000\002F\000\000\002F\000\000\002F{"v":1,"t":"message","d":{"id":"01a2030d-0e13-77d4-8f83-8b40461e15e0","account_id":"demo","message_class":"marketing","recipient":"525512000086","sender":"CAUDAL","text":"Folio 66","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e13-740c-8410-bceca30158ee","account_id":"demo","message_class":"marketing","recipient":"525512000087","sender":"CAUDAL","text":"Folio 67","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e13-7c78-857e-633a01c4ac81","account_id":"demo","message_class":"marketing","recipient":"525512000088","sender":"CAUDAL","text":"Folio 68","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e13-7224-b9c1-4a3b589cd1d3","account_id":"demo","message_class":"marketing","recipient":"525512000089","sender":"CAUDAL","text":"Folio 69","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e13-73ef-8de1-e4f7deedf1b8","account_id":"demo","message_class":"marketing","recipient":"525512000090","sender":"CAUDAL","text":"Folio 70","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e13-7b15-b76e-509bb68ce8c9","account_id":"demo","message_class":"marketing","recipient":"525512000091","sender":"CAUDAL","text":"Folio 71","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e13-764d-b237-777a4307b722","account_id":"demo","message_class":"marketing","recipient":"525512000092","sender":"CAUDAL","text":"Folio 72","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e13-71d1-948e-3df90f5e4038","account_id":"demo","message_class":"marketing","recipient":"525512000093","sender":"CAUDAL","text":"Folio 73","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e13-7d59-bba6-dbfdfb7ed3ed","account_id":"demo","message_class":"marketing","recipient":"525512000094","sender":"CAUDAL","text":"Folio 74","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}{"v":1,"t":"message","d":{"id":"01a2030d-0e13-7503-b86b-bff04ebb5ee9","account_id":"demo","message_class":"marketing","recipient":"525512000095","sender":"CAUDAL","text":"Folio 75","encoding":"gsm7","segment_count":1,"accepted_at":1795347516947,"valid_until":1795433916947,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":null,"client_ref":null,"batch_id":"01a2030d-0e13-76d0-903f-352466458b5d","request_id":"req_a04b7f10699be493","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}');
INSERT INTO public.bus_partition VALUES
	(6, 'mo', 0, 0, 0),
	(8, 'dead.lane', 0, 0, 0),
	(2, 'lane.telco.collections', 0, 18, 0),
	(1, 'events', 0, 116, 0),
	(4, 'lane.telco.otp', 0, 18, 0),
	(7, 'receipts', 0, 32, 0),
	(5, 'lane.telco.transactional', 0, 18, 0),
	(3, 'lane.telco.marketing', 0, 18, 0);
INSERT INTO public.bus_position VALUES
	('inbound', 'mo', 0, 0, '{}', '{}', '2026-11-22 11:38:19.658039+00'),
	('dispatch.telco', 'lane.telco.marketing', 0, 8, '{}', '{8,15}', '2026-11-22 11:38:36.998438+00'),
	('dispatch.telco', 'lane.telco.collections', 0, 8, '{}', '{8,15}', '2026-11-22 11:38:36.963494+00'),
	('dlr', 'receipts', 0, 16, '{}', '{}', '2026-11-22 11:38:34.680169+00'),
	('dispatch.telco', 'lane.telco.otp', 0, 8, '{}', '{}', '2026-11-22 11:38:35.704575+00'),
	('recorder', 'events', 0, 44, '{}', '{}', '2026-11-22 11:38:34.200469+00'),
	('dispatch.telco', 'lane.telco.transactional', 0, 8, '{}', '{}', '2026-11-22 11:38:35.704582+00'),
	('dead.lane', 'dead.lane', 0, 0, '{}', '{}', '2026-11-22 11:38:19.706121+00');
INSERT INTO public.deferred OVERRIDING SYSTEM VALUE VALUES
	(1, '2026-11-22 13:38:33.892+00', 'lane.telco.otp', '525512000036', '{"v":1,"t":"message","d":{"id":"01a2030d-022e-799a-9dc1-beb4fb9d1d61","account_id":"demo","message_class":"otp","recipient":"525512000036","sender":"CAUDAL","text":"Folio 16","encoding":"gsm7","segment_count":1,"accepted_at":1795347513902,"valid_until":1795355013892,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":1795354713892,"client_ref":null,"batch_id":"01a2030d-022e-7941-8dd8-8c23ea9874d9","request_id":"req_cc1928292a7359cd","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}', '01a2030d-022e-799a-9dc1-beb4fb9d1d61'),
	(2, '2026-11-22 13:38:33.892+00', 'lane.telco.transactional', '525512000037', '{"v":1,"t":"message","d":{"id":"01a2030d-02bc-74e6-8858-26f149e93076","account_id":"demo","message_class":"transactional","recipient":"525512000037","sender":"CAUDAL","text":"Folio 17","encoding":"gsm7","segment_count":1,"accepted_at":1795347514044,"valid_until":1795441113892,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":1795354713892,"client_ref":null,"batch_id":"01a2030d-02bc-7d36-ba8c-41cb62c5210c","request_id":"req_a7f26211aa8a98df","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}', '01a2030d-02bc-74e6-8858-26f149e93076'),
	(3, '2026-11-22 13:38:33.892+00', 'lane.telco.collections', '525512000038', '{"v":1,"t":"message","d":{"id":"01a2030d-02ee-77b0-bb89-08d62d449a48","account_id":"demo","message_class":"collections","recipient":"525512000038","sender":"CAUDAL","text":"Folio 18","encoding":"gsm7","segment_count":1,"accepted_at":1795347514094,"valid_until":1795441113892,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":1795354713892,"client_ref":null,"batch_id":"01a2030d-02ee-7699-bcb3-674cf417d478","request_id":"req_218b71bccf8e0239","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}', '01a2030d-02ee-77b0-bb89-08d62d449a48'),
	(4, '2026-11-22 13:38:33.892+00', 'lane.telco.marketing', '525512000039', '{"v":1,"t":"message","d":{"id":"01a2030d-031e-743e-bd59-fa219bd273fe","account_id":"demo","message_class":"marketing","recipient":"525512000039","sender":"CAUDAL","text":"Folio 19","encoding":"gsm7","segment_count":1,"accepted_at":1795347514142,"valid_until":1795441113892,"carrier":"telco","candidates":[],"channel":"sms","source":"api","send_at":1795354713892,"client_ref":null,"batch_id":"01a2030d-031e-780c-9ce7-c5754c5da600","request_id":"req_059806f2aa26c8b7","metadata":null,"attempt":1,"reference":null,"segments_done":[],"resent_in_doubt":false,"route_reason":"rule 1, prefix any"}}', '01a2030d-031e-743e-bd59-fa219bd273fe');
INSERT INTO public.lane_leases VALUES
	('telco', 0, 'vm.dispatch', 1, '2026-11-22 11:38:47.332662+00');
INSERT INTO public.messages_20261122 VALUES
	('01a2030c-fc7f-7683-a9fe-5135f27e0d98', 'demo', 'collections', 'sms', 'api', '525512000022', 'CAUDAL', 'Folio 2', 'gsm7', 1, NULL, '01a2030c-fc7f-778f-ad79-cff082167799', 'req_e51e0b00b11b6d84', NULL, 1795347512447, 1795433912447, NULL, 'queued', 'telco', 'rule 1, prefix any', 'delivered', 3, false, 'telco', 1, 1795347512690, 1795347512798, ''),
	('01a2030c-fcaa-748d-b97f-1d6c9efee92d', 'demo', 'marketing', 'sms', 'api', '525512000023', 'CAUDAL', 'Folio 3', 'gsm7', 1, NULL, '01a2030c-fcaa-7d06-b6b1-cc87b70ef4af', 'req_5d22e509ac42c2d6', NULL, 1795347512490, 1795433912490, NULL, 'queued', 'telco', 'rule 1, prefix any', 'delivered', 3, false, 'telco', 1, 1795347512754, 1795347512834, ''),
	('01a2030c-fd01-7b7a-a23a-61be10b52006', 'demo', 'collections', 'sms', 'api', '525512000026', 'CAUDAL', 'Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ', 'gsm7', 2, NULL, '01a2030c-fd01-7401-8b77-d0a7ccc0ba29', 'req_e59ebbb622b0e399', NULL, 1795347512577, 1795433912577, NULL, 'queued', 'telco', 'rule 1, prefix any', 'delivered', 3, false, 'telco', 1, 1795347512786, 1795347512876, ''),
	('01a2030c-fd1a-7211-bd63-bb91e4142658', 'demo', 'marketing', 'sms', 'api', '525512000027', 'CAUDAL', 'Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ', 'gsm7', 2, NULL, '01a2030c-fd1a-7a64-9bb8-c8e902c148a3', 'req_ac450612a77b1c44', NULL, 1795347512602, 1795433912602, NULL, 'queued', 'telco', 'rule 1, prefix any', 'delivered', 3, false, 'telco', 1, 1795347512799, 1795347512910, ''),
	('01a2030d-006f-71ca-877d-3744e4886e2f', 'demo', 'otp', 'sms', 'api', '525512000028', 'CAUDAL', 'Folio 8', 'gsm7', 1, NULL, '01a2030d-006f-7f9f-b4fa-9826dfcc3bae', 'req_185f20a6b3666928', NULL, 1795347513455, 1795347813455, NULL, 'queued', 'telco', 'rule 1, prefix any', 'submitted', 2, false, 'telco', 1, 1795347513494, NULL, ''),
	('01a2030c-fc00-774d-b05f-31988f1f0471', 'demo', 'otp', 'sms', 'api', '525512000020', 'CAUDAL', 'Folio 0', 'gsm7', 1, NULL, '01a2030c-fc00-78b0-bc3c-b41d0f45b567', 'req_9b5177578edbb117', NULL, 1795347512320, 1795347812320, NULL, 'queued', 'telco', 'rule 1, prefix any', 'delivered', 3, false, 'telco', 1, 1795347512440, 1795347512542, ''),
	('01a2030c-fc6a-7b61-9568-8a5d23257333', 'demo', 'transactional', 'sms', 'api', '525512000021', 'CAUDAL', 'Folio 1', 'gsm7', 1, NULL, '01a2030c-fc6a-733d-8939-aca3b6ed5fdc', 'req_cca6f8254f1c6848', NULL, 1795347512426, 1795433912426, NULL, 'queued', 'telco', 'rule 1, prefix any', 'delivered', 3, false, 'telco', 1, 1795347512461, 1795347512565, ''),
	('01a2030c-fcc8-71e3-9f26-6dc2d4b13f34', 'demo', 'otp', 'sms', 'api', '525512000024', 'CAUDAL', 'Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ', 'gsm7', 2, NULL, '01a2030c-fcc8-73d5-9326-136c21cb868c', 'req_02cf86bf39771a21', NULL, 1795347512520, 1795347812520, NULL, 'queued', 'telco', 'rule 1, prefix any', 'delivered', 3, false, 'telco', 1, 1795347512571, 1795347512720, ''),
	('01a2030c-fce1-7637-9d94-84d971d094a0', 'demo', 'transactional', 'sms', 'api', '525512000025', 'CAUDAL', 'Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. ', 'gsm7', 2, NULL, '01a2030c-fce1-7b15-8893-b92e9e6b0e92', 'req_d37e660df7557f48', NULL, 1795347512545, 1795433912545, NULL, 'queued', 'telco', 'rule 1, prefix any', 'delivered', 3, false, 'telco', 1, 1795347512615, 1795347512754, ''),
	('01a2030d-006f-740e-8d8e-264088ac3cd5', 'demo', 'otp', 'sms', 'api', '525512000029', 'CAUDAL', 'Folio 9', 'gsm7', 1, NULL, '01a2030d-006f-7f9f-b4fa-9826dfcc3bae', 'req_185f20a6b3666928', NULL, 1795347513455, 1795347813455, NULL, 'queued', 'telco', 'rule 1, prefix any', 'submitted', 2, false, 'telco', 1, 1795347513525, NULL, ''),
	('01a2030d-0096-7a14-b51f-6f84889a2c99', 'demo', 'transactional', 'sms', 'api', '525512000030', 'CAUDAL', 'Folio 10', 'gsm7', 1, NULL, '01a2030d-0096-7750-aadb-8a4739a814e3', 'req_3ad038d1f1f557e6', NULL, 1795347513494, 1795433913494, NULL, 'queued', 'telco', 'rule 1, prefix any', 'submitted', 2, false, 'telco', 1, 1795347513546, NULL, ''),
	('01a2030d-0096-786b-ad42-2018a607515e', 'demo', 'transactional', 'sms', 'api', '525512000031', 'CAUDAL', 'Folio 11', 'gsm7', 1, NULL, '01a2030d-0096-7750-aadb-8a4739a814e3', 'req_3ad038d1f1f557e6', NULL, 1795347513494, 1795433913494, NULL, 'queued', 'telco', 'rule 1, prefix any', 'submitted', 2, false, 'telco', 1, 1795347513555, NULL, ''),
	('01a2030d-00bf-79fc-aa12-52bc00964622', 'demo', 'collections', 'sms', 'api', '525512000033', 'CAUDAL', 'Folio 13', 'gsm7', 1, NULL, '01a2030d-00bf-728e-8981-bc11eb50f62e', 'req_7919115bd980fd74', NULL, 1795347513535, 1795433913535, NULL, 'queued', 'telco', 'rule 1, prefix any', 'submitted', 2, false, 'telco', 1, 1795347513666, NULL, ''),
	('01a2030d-00bf-7d73-9a93-5bdbbdc3b47b', 'demo', 'collections', 'sms', 'api', '525512000032', 'CAUDAL', 'Folio 12', 'gsm7', 1, NULL, '01a2030d-00bf-728e-8981-bc11eb50f62e', 'req_7919115bd980fd74', NULL, 1795347513535, 1795433913535, NULL, 'queued', 'telco', 'rule 1, prefix any', 'submitted', 2, false, 'telco', 1, 1795347513634, NULL, ''),
	('01a2030d-00e4-7a95-84d5-e9afe0a184e8', 'demo', 'marketing', 'sms', 'api', '525512000034', 'CAUDAL', 'Folio 14', 'gsm7', 1, NULL, '01a2030d-00e4-7a60-b310-fd1ee7157f3a', 'req_4a7c5cd892a3a631', NULL, 1795347513572, 1795433913572, NULL, 'queued', 'telco', 'rule 1, prefix any', 'submitted', 2, false, 'telco', 1, 1795347513666, NULL, ''),
	('01a2030d-00e4-7f30-9ff8-dec5fe009ee5', 'demo', 'marketing', 'sms', 'api', '525512000035', 'CAUDAL', 'Folio 15', 'gsm7', 1, NULL, '01a2030d-00e4-7a60-b310-fd1ee7157f3a', 'req_4a7c5cd892a3a631', NULL, 1795347513572, 1795433913572, NULL, 'queued', 'telco', 'rule 1, prefix any', 'submitted', 2, false, 'telco', 1, 1795347513706, NULL, ''),
	('01a2030d-022e-799a-9dc1-beb4fb9d1d61', 'demo', 'otp', 'sms', 'api', '525512000036', 'CAUDAL', 'Folio 16', 'gsm7', 1, NULL, '01a2030d-022e-7941-8dd8-8c23ea9874d9', 'req_cc1928292a7359cd', NULL, 1795347513902, 1795355013892, 1795354713892, 'scheduled', 'telco', 'rule 1, prefix any', 'scheduled', 0, false, 'telco', 0, NULL, NULL, ''),
	('01a2030d-02bc-74e6-8858-26f149e93076', 'demo', 'transactional', 'sms', 'api', '525512000037', 'CAUDAL', 'Folio 17', 'gsm7', 1, NULL, '01a2030d-02bc-7d36-ba8c-41cb62c5210c', 'req_a7f26211aa8a98df', NULL, 1795347514044, 1795441113892, 1795354713892, 'scheduled', 'telco', 'rule 1, prefix any', 'scheduled', 0, false, 'telco', 0, NULL, NULL, ''),
	('01a2030d-02ee-77b0-bb89-08d62d449a48', 'demo', 'collections', 'sms', 'api', '525512000038', 'CAUDAL', 'Folio 18', 'gsm7', 1, NULL, '01a2030d-02ee-7699-bcb3-674cf417d478', 'req_218b71bccf8e0239', NULL, 1795347514094, 1795441113892, 1795354713892, 'scheduled', 'telco', 'rule 1, prefix any', 'scheduled', 0, false, 'telco', 0, NULL, NULL, ''),
	('01a2030d-031e-743e-bd59-fa219bd273fe', 'demo', 'marketing', 'sms', 'api', '525512000039', 'CAUDAL', 'Folio 19', 'gsm7', 1, NULL, '01a2030d-031e-780c-9ce7-c5754c5da600', 'req_059806f2aa26c8b7', NULL, 1795347514142, 1795441113892, 1795354713892, 'scheduled', 'telco', 'rule 1, prefix any', 'scheduled', 0, false, 'telco', 0, NULL, NULL, '');
INSERT INTO public.parked_receipts OVERRIDING SYSTEM VALUE VALUES
	(1, 'telco', '1879048220', NULL, 1795347514598, 1795433914598, '{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048220","message_state":"DELIVERED","received_at":1795347514346,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048220 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(2, 'telco', '1879048221', NULL, 1795347514598, 1795433914598, '{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048221","message_state":"DELIVERED","received_at":1795347514366,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048221 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(3, 'telco', '1879048222', NULL, 1795347514598, 1795433914598, '{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048222","message_state":"DELIVERED","received_at":1795347514377,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048222 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}'),
	(4, 'telco', '1879048223', NULL, 1795347514668, 1795433914668, '{"v":1,"t":"receipt","d":{"carrier":"telco","bind":"trx1","carrier_message_id":"1879048223","message_state":"DELIVERED","received_at":1795347514398,"intermediate":false,"second_id":null,"raw_stat":"DELIVRD","err":"000","network_error_type":null,"network_error_code":null,"submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048223 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}}');
INSERT INTO public.schema_migrations VALUES
	('0001_bus', 'b1d60e3f890ed11558b0415719d1afc5fa91206174d68d5d6189854133316079', '2026-11-22 11:38:11.376208+00'),
	('0002_accounts', 'f34955f866ef1cee3ba2fe2c0ddb5709a225ee7d8ac0390d0f3b3ff2784899d2', '2026-11-22 11:38:11.446628+00'),
	('0003_messages', '102525793948e47cc8bd4ac639750ded91d6e9c75f8766b6ba3b064f60b72987', '2026-11-22 11:38:11.518984+00'),
	('0004_dispatch', '298cd4a9fb2f33ac49c131687a1e15704650ca48fcca854f051ec9b3c890b9df', '2026-11-22 11:38:11.638989+00');
INSERT INTO public.submissions_20261122 VALUES
	('01a2030c-fc00-774d-b05f-31988f1f0471', 1, 1, 1, 'telco', '1879048192', NULL, 'trx2', 2, 'submitted', '', 'submitted', 1795347512440, 12, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512542,"bind":"trx1","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048192 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fc6a-7b61-9568-8a5d23257333', 1, 1, 1, 'telco', '1879048193', NULL, 'trx1', 2, 'submitted', '', 'submitted', 1795347512461, 12, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512565,"bind":"trx2","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048193 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fcc8-71e3-9f26-6dc2d4b13f34', 1, 1, 2, 'telco', '1879048194', NULL, 'trx2', 3, 'submitted', '', 'submitted', 1795347512571, 12, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512678,"bind":"trx1","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048194 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fcc8-71e3-9f26-6dc2d4b13f34', 2, 1, 2, 'telco', '1879048195', NULL, 'trx1', 3, 'submitted', '', 'submitted', 1795347512603, 23, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512720,"bind":"trx2","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048195 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fce1-7637-9d94-84d971d094a0', 1, 1, 2, 'telco', '1879048196', NULL, 'trx2', 4, 'submitted', '', 'submitted', 1795347512615, 12, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512720,"bind":"trx1","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048196 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fce1-7637-9d94-84d971d094a0', 2, 1, 2, 'telco', '1879048197', NULL, 'trx1', 4, 'submitted', '', 'submitted', 1795347512654, 32, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512754,"bind":"trx2","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048197 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fc7f-7683-a9fe-5135f27e0d98', 1, 1, 1, 'telco', '1879048198', NULL, 'trx2', 5, 'submitted', '', 'submitted', 1795347512690, 19, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512798,"bind":"trx1","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048198 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fcaa-748d-b97f-1d6c9efee92d', 1, 1, 1, 'telco', '1879048199', NULL, 'trx1', 5, 'submitted', '', 'submitted', 1795347512754, 35, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512834,"bind":"trx2","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048199 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fd01-7b7a-a23a-61be10b52006', 1, 1, 2, 'telco', '1879048200', NULL, 'trx2', 6, 'submitted', '', 'submitted', 1795347512786, 31, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512876,"bind":"trx1","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048200 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fd01-7b7a-a23a-61be10b52006', 2, 1, 2, 'telco', '1879048201', NULL, 'trx1', 6, 'submitted', '', 'submitted', 1795347512786, 23, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512876,"bind":"trx2","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048201 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fd1a-7211-bd63-bb91e4142658', 1, 1, 2, 'telco', '1879048202', NULL, 'trx2', 7, 'submitted', '', 'submitted', 1795347512799, 12, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512895,"bind":"trx1","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048202 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030c-fd1a-7211-bd63-bb91e4142658', 2, 1, 2, 'telco', '1879048203', NULL, 'trx1', 7, 'submitted', '', 'submitted', 1795347512809, 6, 'delivered', '{"message_state":"DELIVERED","received_at":1795347512910,"bind":"trx2","raw_stat":"DELIVRD","err":"000","submit_date":"2026-11-22T11:38:00","done_date":"2026-11-22T11:38:00","raw":"id:1879048203 sub:001 dlvrd:001 submit date:2611221138 done date:2611221138 stat:DELIVRD err:000"}'),
	('01a2030d-006f-71ca-877d-3744e4886e2f', 1, 1, 1, 'telco', '1879048204', NULL, 'trx2', 8, 'submitted', '', 'submitted', 1795347513494, 8, NULL, NULL),
	('01a2030d-006f-740e-8d8e-264088ac3cd5', 1, 1, 1, 'telco', '1879048205', NULL, 'trx1', 8, 'submitted', '', 'submitted', 1795347513525, 13, NULL, NULL),
	('01a2030d-0096-7a14-b51f-6f84889a2c99', 1, 1, 1, 'telco', '1879048206', NULL, 'trx1', 9, 'submitted', '', 'submitted', 1795347513546, 14, NULL, NULL),
	('01a2030d-0096-786b-ad42-2018a607515e', 1, 1, 1, 'telco', '1879048207', NULL, 'trx2', 9, 'submitted', '', 'submitted', 1795347513555, 8, NULL, NULL),
	('01a2030d-00bf-7d73-9a93-5bdbbdc3b47b', 1, 1, 1, 'telco', '1879048208', NULL, 'trx1', 10, 'submitted', '', 'submitted', 1795347513634, 19, NULL, NULL),
	('01a2030d-00bf-79fc-aa12-52bc00964622', 1, 1, 1, 'telco', '1879048209', NULL, 'trx1', 11, 'submitted', '', 'submitted', 1795347513666, 21, NULL, NULL),
	('01a2030d-00e4-7a95-84d5-e9afe0a184e8', 1, 1, 1, 'telco', '1879048210', NULL, 'trx1', 12, 'submitted', '', 'submitted', 1795347513666, 7, NULL, NULL),
	('01a2030d-00e4-7f30-9ff8-dec5fe009ee5', 1, 1, 1, 'telco', '1879048211', NULL, 'trx2', 10, 'submitted', '', 'submitted', 1795347513706, 31, NULL, NULL);
SELECT pg_catalog.setval('public.bus_partition_id_seq', 8, true);
SELECT pg_catalog.setval('public.dead_records_id_seq', 1, false);
SELECT pg_catalog.setval('public.deferred_id_seq', 4, true);
SELECT pg_catalog.setval('public.parked_receipts_id_seq', 4, true);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.bus_log
    ADD CONSTRAINT bus_log_pkey PRIMARY KEY (partition_id, last_offset);
ALTER TABLE ONLY public.bus_partition
    ADD CONSTRAINT bus_partition_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.bus_partition
    ADD CONSTRAINT bus_partition_topic_partition_key UNIQUE (topic, partition);
ALTER TABLE ONLY public.bus_position
    ADD CONSTRAINT bus_position_pkey PRIMARY KEY (group_name, topic, partition);
ALTER TABLE ONLY public.client_refs
    ADD CONSTRAINT client_refs_pkey PRIMARY KEY (account_id, client_ref);
ALTER TABLE ONLY public.closed_days
    ADD CONSTRAINT closed_days_pkey PRIMARY KEY (day_at);
ALTER TABLE ONLY public.dead_records
    ADD CONSTRAINT dead_records_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.dead_records
    ADD CONSTRAINT dead_records_topic_partition_log_offset_key UNIQUE (topic, partition, log_offset);
ALTER TABLE ONLY public.deferred
    ADD CONSTRAINT deferred_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (account_id, route, key);
ALTER TABLE ONLY public.lane_leases
    ADD CONSTRAINT lane_leases_pkey PRIMARY KEY (carrier, shard);
ALTER TABLE ONLY public.message_events
    ADD CONSTRAINT message_events_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_20261121
    ADD CONSTRAINT message_events_20261121_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_20261122
    ADD CONSTRAINT message_events_20261122_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_20261123
    ADD CONSTRAINT message_events_20261123_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_20261124
    ADD CONSTRAINT message_events_20261124_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_20261125
    ADD CONSTRAINT message_events_20261125_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_20261126
    ADD CONSTRAINT message_events_20261126_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_20261127
    ADD CONSTRAINT message_events_20261127_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_20261128
    ADD CONSTRAINT message_events_20261128_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_20261129
    ADD CONSTRAINT message_events_20261129_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.message_events_default
    ADD CONSTRAINT message_events_default_pkey PRIMARY KEY (message_id, log_offset);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_20261121
    ADD CONSTRAINT messages_20261121_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_20261122
    ADD CONSTRAINT messages_20261122_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_20261123
    ADD CONSTRAINT messages_20261123_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_20261124
    ADD CONSTRAINT messages_20261124_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_20261125
    ADD CONSTRAINT messages_20261125_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_20261126
    ADD CONSTRAINT messages_20261126_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_20261127
    ADD CONSTRAINT messages_20261127_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_20261128
    ADD CONSTRAINT messages_20261128_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_20261129
    ADD CONSTRAINT messages_20261129_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages_default
    ADD CONSTRAINT messages_default_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.parked_receipts
    ADD CONSTRAINT parked_receipts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.submissions
    ADD CONSTRAINT submissions_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_20261121
    ADD CONSTRAINT submissions_20261121_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_20261122
    ADD CONSTRAINT submissions_20261122_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_20261123
    ADD CONSTRAINT submissions_20261123_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_20261124
    ADD CONSTRAINT submissions_20261124_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_20261125
    ADD CONSTRAINT submissions_20261125_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_20261126
    ADD CONSTRAINT submissions_20261126_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_20261127
    ADD CONSTRAINT submissions_20261127_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_20261128
    ADD CONSTRAINT submissions_20261128_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_20261129
    ADD CONSTRAINT submissions_20261129_pkey PRIMARY KEY (message_id, segment_index, attempt);
ALTER TABLE ONLY public.submissions_default
    ADD CONSTRAINT submissions_default_pkey PRIMARY KEY (message_id, segment_index, attempt);
CREATE INDEX api_keys_account ON public.api_keys USING btree (account_id);
CREATE INDEX client_refs_age ON public.client_refs USING btree (created_at);
CREATE INDEX deferred_due ON public.deferred USING btree (due_at, id);
CREATE INDEX deferred_message ON public.deferred USING btree (message_id);
CREATE INDEX idempotency_age ON public.idempotency USING btree (created_at);
CREATE INDEX messages_account ON ONLY public.messages USING btree (account_id, id);
CREATE INDEX messages_20261121_account_id_id_idx ON public.messages_20261121 USING btree (account_id, id);
CREATE INDEX messages_recipient ON ONLY public.messages USING btree (recipient, id);
CREATE INDEX messages_20261121_recipient_id_idx ON public.messages_20261121 USING btree (recipient, id);
CREATE INDEX messages_20261122_account_id_id_idx ON public.messages_20261122 USING btree (account_id, id);
CREATE INDEX messages_20261122_recipient_id_idx ON public.messages_20261122 USING btree (recipient, id);
CREATE INDEX messages_20261123_account_id_id_idx ON public.messages_20261123 USING btree (account_id, id);
CREATE INDEX messages_20261123_recipient_id_idx ON public.messages_20261123 USING btree (recipient, id);
CREATE INDEX messages_20261124_account_id_id_idx ON public.messages_20261124 USING btree (account_id, id);
CREATE INDEX messages_20261124_recipient_id_idx ON public.messages_20261124 USING btree (recipient, id);
CREATE INDEX messages_20261125_account_id_id_idx ON public.messages_20261125 USING btree (account_id, id);
CREATE INDEX messages_20261125_recipient_id_idx ON public.messages_20261125 USING btree (recipient, id);
CREATE INDEX messages_20261126_account_id_id_idx ON public.messages_20261126 USING btree (account_id, id);
CREATE INDEX messages_20261126_recipient_id_idx ON public.messages_20261126 USING btree (recipient, id);
CREATE INDEX messages_20261127_account_id_id_idx ON public.messages_20261127 USING btree (account_id, id);
CREATE INDEX messages_20261127_recipient_id_idx ON public.messages_20261127 USING btree (recipient, id);
CREATE INDEX messages_20261128_account_id_id_idx ON public.messages_20261128 USING btree (account_id, id);
CREATE INDEX messages_20261128_recipient_id_idx ON public.messages_20261128 USING btree (recipient, id);
CREATE INDEX messages_20261129_account_id_id_idx ON public.messages_20261129 USING btree (account_id, id);
CREATE INDEX messages_20261129_recipient_id_idx ON public.messages_20261129 USING btree (recipient, id);
CREATE INDEX messages_default_account_id_id_idx ON public.messages_default USING btree (account_id, id);
CREATE INDEX messages_default_recipient_id_idx ON public.messages_default USING btree (recipient, id);
CREATE INDEX parked_receipts_expiry ON public.parked_receipts USING btree (expires_at);
CREATE INDEX parked_receipts_first ON public.parked_receipts USING btree (carrier, carrier_message_id);
CREATE INDEX parked_receipts_second ON public.parked_receipts USING btree (carrier, second_id) WHERE (second_id IS NOT NULL);
CREATE INDEX submissions_carrier_id ON ONLY public.submissions USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_20261121_carrier_carrier_message_id_message_id_idx ON public.submissions_20261121 USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_20261122_carrier_carrier_message_id_message_id_idx ON public.submissions_20261122 USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_20261123_carrier_carrier_message_id_message_id_idx ON public.submissions_20261123 USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_20261124_carrier_carrier_message_id_message_id_idx ON public.submissions_20261124 USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_20261125_carrier_carrier_message_id_message_id_idx ON public.submissions_20261125 USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_20261126_carrier_carrier_message_id_message_id_idx ON public.submissions_20261126 USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_20261127_carrier_carrier_message_id_message_id_idx ON public.submissions_20261127 USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_20261128_carrier_carrier_message_id_message_id_idx ON public.submissions_20261128 USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_20261129_carrier_carrier_message_id_message_id_idx ON public.submissions_20261129 USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
CREATE INDEX submissions_default_carrier_carrier_message_id_message_id_idx ON public.submissions_default USING btree (carrier, carrier_message_id, message_id) WHERE (carrier_message_id IS NOT NULL);
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_20261121_pkey;
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_20261122_pkey;
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_20261123_pkey;
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_20261124_pkey;
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_20261125_pkey;
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_20261126_pkey;
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_20261127_pkey;
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_20261128_pkey;
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_20261129_pkey;
ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_default_pkey;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_20261121_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_20261121_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_20261121_recipient_id_idx;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_20261122_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_20261122_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_20261122_recipient_id_idx;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_20261123_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_20261123_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_20261123_recipient_id_idx;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_20261124_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_20261124_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_20261124_recipient_id_idx;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_20261125_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_20261125_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_20261125_recipient_id_idx;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_20261126_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_20261126_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_20261126_recipient_id_idx;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_20261127_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_20261127_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_20261127_recipient_id_idx;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_20261128_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_20261128_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_20261128_recipient_id_idx;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_20261129_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_20261129_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_20261129_recipient_id_idx;
ALTER INDEX public.messages_account ATTACH PARTITION public.messages_default_account_id_id_idx;
ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_default_pkey;
ALTER INDEX public.messages_recipient ATTACH PARTITION public.messages_default_recipient_id_idx;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_20261121_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_20261121_pkey;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_20261122_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_20261122_pkey;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_20261123_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_20261123_pkey;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_20261124_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_20261124_pkey;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_20261125_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_20261125_pkey;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_20261126_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_20261126_pkey;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_20261127_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_20261127_pkey;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_20261128_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_20261128_pkey;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_20261129_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_20261129_pkey;
ALTER INDEX public.submissions_carrier_id ATTACH PARTITION public.submissions_default_carrier_carrier_message_id_message_id_idx;
ALTER INDEX public.submissions_pkey ATTACH PARTITION public.submissions_default_pkey;
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
