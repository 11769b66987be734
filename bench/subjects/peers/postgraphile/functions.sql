-- The mutation of this peer. PostGraphile hides the functions that it calls.
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
