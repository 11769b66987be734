-- Records everything of a bulk except its transfers. The UPDATE locks the account until the commit. With a key the
-- account is locked before, and an earlier bulk with this key is returned: its id is not the given one.
create function record_bulk_transfer(
  bulk_id uuid, organization_iban text, key text, content_hash text, transfers int, total bigint
) returns bulk_transfer language plpgsql volatile as $$
declare
  debtor account;
  bulk bulk_transfer;
begin
  if key is not null then
    perform from account where iban = organization_iban for update;
    select b.* into bulk from bulk_transfer b join account a on a.id = b.account_id
    where a.iban = organization_iban and b.idempotency_key = key;
    if found then
      if bulk.fingerprint <> content_hash then
        raise exception 'The key belongs to another bulk';
      end if;
      return bulk;
    end if;
  end if;

  update account set balance_minor = balance_minor - total, sequence = sequence + 1,
    updated_at = clock_timestamp()
  where iban = organization_iban and balance_minor >= total
  returning * into debtor;
  if not found then
    if exists (select from account where iban = organization_iban) then
      raise exception 'Insufficient funds';
    end if;
    raise exception 'Unknown account';
  end if;

  insert into bulk_transfer values (
    bulk_id, debtor.id, debtor.sequence, key, content_hash, transfers, debtor.currency, total,
    debtor.balance_minor, debtor.updated_at
  ) returning * into bulk;
  insert into ledger_entry (id, account_id, sequence, kind, currency, amount_minor,
    balance_after_minor, bulk_transfer_id, description, created_at)
  values (new_id(), debtor.id, bulk.sequence, 'BULK_TRANSFER', debtor.currency, -total,
    bulk.balance_after_minor, bulk.id, 'Bulk of ' || transfers
      || case transfers when 1 then ' transfer' else ' transfers' end, bulk.created_at);
  insert into outbox_message (id, type, account_id, sequence, created_at, due_at)
  values (new_id(), 'bulk-transfer.performed', debtor.id, bulk.sequence, bulk.created_at,
    bulk.created_at);
  return bulk;
end $$;

-- Performs a bulk of one transfer.
create function perform_single_transfer(
  bulk_id uuid, organization_iban text, key text, content_hash text, amount bigint,
  counterparty_name text, counterparty_name_folded text, counterparty_iban text, description text
) returns bulk_transfer language plpgsql volatile as $$
declare
  bulk bulk_transfer;
begin
  bulk := record_bulk_transfer(bulk_id, organization_iban, key, content_hash, 1, amount);
  if bulk.id = bulk_id then
    insert into transfer (id, bulk_transfer_id, account_id, position, currency, amount_minor,
      counterparty_name, counterparty_name_folded, counterparty_iban, description, created_at)
    values (new_id(), bulk.id, bulk.account_id, bulk.sequence << 20, bulk.currency, amount,
      counterparty_name, counterparty_name_folded, counterparty_iban, description,
      bulk.created_at);
  end if;
  return bulk;
end $$;
