-- The tables and indexes of Virement, in the types of PostgreSQL.
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
comment on function new_id() is '@behavior -*';

-- ISO 13616: country and check digits move to the end, letters become numbers, modulo 97.
create function is_iban(iban text) returns boolean language plpgsql immutable parallel safe as $$
declare
  rearranged text := substr(iban, 5) || left(iban, 4);
  letter text;
begin
  if iban !~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$' then return false; end if;
  foreach letter in array regexp_split_to_array(regexp_replace(rearranged, '[0-9]', '', 'g'), '') loop
    rearranged := replace(rearranged, letter, (ascii(letter) - 55)::text);
  end loop;
  return rearranged::numeric % 97 = 1;
end $$;
comment on function is_iban(text) is '@behavior -*';

create function perform_bulk_transfer(
  organization_iban text, credit_transfers jsonb, idempotency_key text default null
) returns bulk_transfer language plpgsql volatile as $$
declare
  debtor account;
  bulk bulk_transfer;
  content_hash text;
  total bigint;
  wrong_row bigint;
begin
  select min(index - 1) into wrong_row
  from jsonb_array_elements(credit_transfers) with ordinality as given(row, index)
  where row->>'amount' !~ '^[0-9]{1,9}(\.[0-9]{1,2})?$'
    or (row->>'amount')::numeric <= 0
    or not is_iban(row->>'counterpartyIban');
  if wrong_row is not null then raise exception 'Row % is wrong', wrong_row; end if;

  select * into debtor from account where iban = organization_iban for update;
  if not found then raise exception 'No such account'; end if;
  if idempotency_key is not null then
    content_hash := encode(sha256(convert_to(credit_transfers::text, 'UTF8')), 'hex');
    select * into bulk from bulk_transfer b
    where b.account_id = debtor.id
      and b.idempotency_key = perform_bulk_transfer.idempotency_key;
    if found then
      if bulk.fingerprint <> content_hash then raise exception 'Another content'; end if;
      return bulk;
    end if;
  end if;

  select sum((row->>'amount')::numeric * 100) into total
  from jsonb_array_elements(credit_transfers) as given(row);
  if debtor.balance_minor < total then raise exception 'Insufficient funds'; end if;

  insert into bulk_transfer values (
    new_id(), debtor.id, debtor.sequence + 1, idempotency_key, content_hash,
    jsonb_array_length(credit_transfers), debtor.currency, total, debtor.balance_minor - total,
    clock_timestamp()
  ) returning * into bulk;
  insert into transfer (id, bulk_transfer_id, account_id, position, currency, amount_minor,
    counterparty_name, counterparty_name_folded, counterparty_iban, description, created_at)
  select new_id(), bulk.id, debtor.id, bulk.sequence << 20 | (index - 1), debtor.currency,
    (row->>'amount')::numeric * 100, row->>'counterpartyName', lower(row->>'counterpartyName'),
    row->>'counterpartyIban', row->>'description', bulk.created_at
  from jsonb_array_elements(credit_transfers) with ordinality as given(row, index);
  insert into ledger_entry (id, account_id, sequence, kind, currency, amount_minor,
    balance_after_minor, bulk_transfer_id, description, created_at)
  values (new_id(), debtor.id, bulk.sequence, 'BULK_TRANSFER', debtor.currency, -total,
    bulk.balance_after_minor, bulk.id, 'Bulk of ' || bulk.transfer_count
      || case bulk.transfer_count when 1 then ' transfer' else ' transfers' end, bulk.created_at);
  insert into outbox_message (id, type, account_id, sequence, created_at, due_at)
  values (new_id(), 'bulk-transfer.performed', debtor.id, bulk.sequence, bulk.created_at,
    bulk.created_at);
  update account set balance_minor = bulk.balance_after_minor, sequence = bulk.sequence,
    updated_at = bulk.created_at
  where id = debtor.id;
  return bulk;
end $$;
