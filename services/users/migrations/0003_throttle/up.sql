-- The generic cell rate algorithm: one moment a key says when it is at rest again.
CREATE TABLE throttle (
    key bytea PRIMARY KEY
        CONSTRAINT throttle_key_check CHECK (octet_length(key) = 32),
    rest_date timestamptz NOT NULL,
    refused boolean NOT NULL
);

CREATE INDEX throttle_rest_date_idx ON throttle (rest_date);
