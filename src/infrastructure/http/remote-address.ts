/**
 * Returns the address of a client as the audit log keeps it: at most 45 characters, without the zone of an
 * IPv6 address, which names a network interface of this machine (RFC 4007).
 * @param address as the socket has it; a client that disconnected has none
 */
export function remoteAddressOf(address: string | undefined): string {
  const [withoutZone = ''] = (address ?? '').split('%');
  return withoutZone;
}
