/** The mutation that PostGraphile makes of the database's function. */
export const PERFORM_BY_FUNCTION = `
  mutation ($input: PerformBulkTransferInput!) {
    performBulkTransfer(input: $input) {
      result { rowId transferCount totalAmountMinor balanceAfterMinor }
    }
  }`;
