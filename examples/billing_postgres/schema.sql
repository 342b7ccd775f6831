-- A small database in the shape of a billing system, and beside it the customers' table of a CRM.
-- Amounts are whole minor units (cents; yen), currencies small letters, moments timestamptz, but
-- for `customers.created`, which is a count of seconds since 1970 as some systems keep it.

CREATE SCHEMA billing;
CREATE SCHEMA crm;

CREATE TABLE billing.customers (
    id text PRIMARY KEY,
    email text,                                -- stays in the database: nothing maps it
    name text,
    created bigint NOT NULL,                   -- seconds since 1970, UTC
    livemode boolean NOT NULL DEFAULT true     -- false: a test of our own developers
);

CREATE TABLE billing.prices (
    id text PRIMARY KEY,
    product text NOT NULL,
    nickname text,
    currency text NOT NULL,
    unit_amount bigint NOT NULL,               -- per seat and billing interval
    recurring_interval text NOT NULL CHECK (recurring_interval IN ('day', 'week', 'month', 'year')),
    interval_count integer NOT NULL DEFAULT 1  -- 3 with month: each quarter
);

CREATE TABLE billing.subscriptions (
    id text PRIMARY KEY,
    customer text NOT NULL REFERENCES billing.customers,
    status text NOT NULL,                      -- today's: trialing, active, past_due, canceled, incomplete, …
    trial_end timestamptz,
    current_period_end timestamptz,
    canceled_at timestamptz,                   -- the customer, or the collection of payment, gave notice
    ended_at timestamptz,                      -- service ended
    cancellation_reason text                   -- cancellation_requested, payment_failed, payment_disputed
);

CREATE TABLE billing.subscription_items (      -- one row per price and number of seats, with its time
    id text PRIMARY KEY,
    subscription text NOT NULL REFERENCES billing.subscriptions,
    price text NOT NULL REFERENCES billing.prices,
    quantity integer NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz                       -- replaced by another item, or the subscription ended
);

CREATE TABLE billing.invoices (
    id text PRIMARY KEY,
    customer text NOT NULL REFERENCES billing.customers,
    created_at timestamptz NOT NULL,
    status text NOT NULL,
    total bigint NOT NULL,
    currency text NOT NULL
);

CREATE TABLE billing.credit_notes (
    id text PRIMARY KEY,
    invoice text NOT NULL REFERENCES billing.invoices,
    customer text NOT NULL REFERENCES billing.customers,
    created_at timestamptz NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    reason text                                -- duplicate, fraudulent, order_change, product_unsatisfactory
);

CREATE TABLE crm.companies (
    billing_customer text UNIQUE,
    size_class text,                           -- small, middle, large, as it was at signing
    vertical text,
    source text,
    contact_email text
);
