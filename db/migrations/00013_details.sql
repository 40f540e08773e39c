-- +goose Up
-- JSON object of what few documents have: locale, subscriber, service_address; empty where there is none.
ALTER TABLE documents ADD COLUMN details TEXT NOT NULL DEFAULT '';
