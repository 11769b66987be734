-- The tables and indexes of tables.sql, in the types of PostgreSQL. The peers on PostgreSQL share them.
create table account (
  id uuid primary key,
  organization_id uuid not null,
  organization_name varchar(140) not null,
  iban varchar(34) not null unique,
  bic varchar(11) not null,
  currency varchar(3) not null,
  balance_minor bigint not null check (balance_minor between 0 and 9007199254740991),
  sequence bigint not null,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now()
);
create index on account (organization_id);

create table bulk_transfer (
  id uuid primary key,
  account_id uuid not null references account,
  sequence bigint not null,
  idempotency_key text,
  fingerprint varchar(64),
  transfer_count int not null,
  currency varchar(3) not null,
  total_amount_minor bigint not null check (total_amount_minor > 0),
  balance_after_minor bigint not null,
  created_at timestamptz(3) not null,
  unique (account_id, sequence),
  unique (account_id, idempotency_key)
);

create table transfer (
  id uuid primary key,
  bulk_transfer_id uuid not null references bulk_transfer,
  account_id uuid not null references account,
  position bigint not null,
  currency varchar(3) not null,
  amount_minor bigint not null check (amount_minor > 0),
  counterparty_name varchar(140) not null,
  counterparty_name_folded text not null,
  counterparty_iban varchar(34) not null,
  counterparty_bic varchar(11),
  counterparty_account_id uuid,
  description varchar(140) not null,
  end_to_end_id varchar(35),
  created_at timestamptz(3) not null,
  unique (account_id, position)
);
create index on transfer (bulk_transfer_id);
create index on transfer (account_id, counterparty_iban, position);
create index on transfer (account_id, counterparty_name_folded, position);
create index on transfer (account_id, amount_minor, position);
create index on transfer (account_id, end_to_end_id, position);

create table ledger_entry (
  id uuid primary key,
  account_id uuid not null references account,
  sequence bigint not null,
  kind varchar(17) not null,
  currency varchar(3) not null,
  amount_minor bigint not null,
  balance_after_minor bigint not null check (balance_after_minor >= 0),
  bulk_transfer_id uuid references bulk_transfer,
  idempotency_key text,
  fingerprint varchar(64),
  description varchar(140) not null,
  created_at timestamptz(3) not null,
  unique (account_id, sequence),
  unique (account_id, idempotency_key)
);
create index on ledger_entry (bulk_transfer_id);
create index on ledger_entry (account_id, created_at, sequence);

create table outbox_message (
  id uuid primary key,
  type varchar(40) not null,
  account_id uuid not null,
  sequence bigint not null,
  created_at timestamptz(3) not null,
  due_at timestamptz(3),
  attempts int not null default 0,
  published_at timestamptz(3),
  parked_at timestamptz(3),
  last_error varchar(500),
  traceparent varchar(55),
  unique (account_id, sequence)
);
create index on outbox_message (due_at, id);
create index on outbox_message (published_at);
create index on outbox_message (parked_at);

-- A UUIDv7: growing ids keep the index of the primary key as cheap as in Virement.
create function new_id() returns uuid language sql volatile parallel safe as $$
  select encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
        from 1 for 6),
      52, 1), 53, 1), 'hex')::uuid
$$;
