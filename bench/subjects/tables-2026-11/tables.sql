-- The tables of Virement in November 2026, with seven indexes on each transfer. The peers on MariaDB and the floor of
-- 2026-11 keep them, so their figures stay comparable.

create table account (
  id binary(16) not null,
  organization_id binary(16) not null,
  organization_name varchar(140) not null,
  iban varchar(34) not null,
  bic varchar(11) not null,
  currency varchar(3) not null,
  balance_minor bigint not null,
  sequence bigint not null,
  created_at datetime(3) not null,
  updated_at datetime(3) not null,
  primary key (id),
  unique key account_iban_unique (iban),
  key account_organization_id_index (organization_id),
  constraint account_balance_minor_check check (balance_minor between 0 and 9007199254740991)
) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB;

create table bulk_transfer (
  id binary(16) not null,
  account_id binary(16) not null,
  sequence bigint not null,
  idempotency_key varbinary(255) null,
  fingerprint varchar(64) null,
  transfer_count int not null,
  currency varchar(3) not null,
  total_amount_minor bigint not null,
  balance_after_minor bigint not null,
  created_at datetime(3) not null,
  primary key (id),
  unique key bulk_transfer_sequence_unique (account_id, sequence),
  unique key bulk_transfer_idempotency_key_unique (account_id, idempotency_key),
  constraint bulk_transfer_account_id_foreign foreign key (account_id) references account (id),
  constraint bulk_transfer_total_amount_minor_check check (total_amount_minor between 1 and 9007199254740991)
) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB;

create table transfer (
  id binary(16) not null,
  bulk_transfer_id binary(16) not null,
  account_id binary(16) not null,
  position bigint not null,
  currency varchar(3) not null,
  amount_minor bigint not null,
  counterparty_name varchar(140) not null,
  counterparty_name_folded varbinary(1680) not null,
  counterparty_iban varchar(34) not null,
  counterparty_bic varchar(11) null,
  counterparty_account_id binary(16) null,
  description varchar(140) not null,
  end_to_end_id varbinary(140) null,
  created_at datetime(3) not null,
  primary key (id),
  unique key transfer_position_unique (account_id, position),
  key transfer_bulk_transfer_id_index (bulk_transfer_id),
  key transfer_counterparty_iban_index (account_id, counterparty_iban, position),
  key transfer_counterparty_name_index (account_id, counterparty_name_folded, position),
  key transfer_amount_index (account_id, amount_minor, position),
  key transfer_end_to_end_id_index (account_id, end_to_end_id, position),
  constraint transfer_bulk_transfer_id_foreign foreign key (bulk_transfer_id) references bulk_transfer (id),
  constraint transfer_account_id_foreign foreign key (account_id) references account (id),
  constraint transfer_amount_minor_check check (amount_minor between 1 and 9007199254740991)
) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB;

create table ledger_entry (
  id binary(16) not null,
  account_id binary(16) not null,
  sequence bigint not null,
  kind varchar(17) not null,
  currency varchar(3) not null,
  amount_minor bigint not null,
  balance_after_minor bigint not null,
  bulk_transfer_id binary(16) null,
  idempotency_key varbinary(255) null,
  fingerprint varchar(64) null,
  description varchar(140) not null,
  created_at datetime(3) not null,
  primary key (id),
  unique key ledger_entry_sequence_unique (account_id, sequence),
  unique key ledger_entry_idempotency_key_unique (account_id, idempotency_key),
  key ledger_entry_bulk_transfer_id_index (bulk_transfer_id),
  key ledger_entry_created_at_index (account_id, created_at, sequence),
  constraint ledger_entry_account_id_foreign foreign key (account_id) references account (id),
  constraint ledger_entry_bulk_transfer_id_foreign foreign key (bulk_transfer_id) references bulk_transfer (id) on delete no action,
  constraint ledger_entry_amount_minor_check check (amount_minor between -9007199254740991 and 9007199254740991),
  constraint ledger_entry_balance_after_minor_check check (balance_after_minor between 0 and 9007199254740991)
) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB;

create table outbox_message (
  id binary(16) not null,
  type varchar(40) not null,
  account_id binary(16) not null,
  sequence bigint not null,
  created_at datetime(3) not null,
  due_at datetime(3) null,
  attempts int not null default 0,
  published_at datetime(3) null,
  parked_at datetime(3) null,
  last_error varchar(500) null,
  traceparent varchar(55) null,
  primary key (id),
  unique key outbox_message_sequence_unique (account_id, sequence),
  key outbox_message_due_at_index (due_at, id),
  key outbox_message_published_at_index (published_at),
  key outbox_message_parked_at_index (parked_at)
) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB;
