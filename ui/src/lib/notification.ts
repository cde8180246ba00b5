/* What the system or an administrator has to tell: who sees it, and who may take it away. */

export interface WireNotification {
  UID: number;
  Type: number;
  Broadcast: boolean;
  Sent: string;
  Msg: string;
  Level?: string;
  Link?: string;
}

export interface Notification extends WireNotification {
  id: string;
  bad: boolean;
}

/** The latest first, without those that this user has seen enough of. */
export function notificationsOf(
  wire: Record<string, WireNotification> | null,
  dismissed: string[],
): Notification[] {
  return Object.entries(wire ?? {})
    .filter(([id, one]) => !dismissed.includes(keyOf(id, one)))
    .map(([id, one]) => ({ ...one, id, bad: /^(?:warn|error|critical)$/.test(one.Level ?? '') }))
    .sort((a, b) => Date.parse(b.Sent) - Date.parse(a.Sent) || a.id.localeCompare(b.id));
}

/** The same again with another text is another one. */
export function keyOf(id: string, one: WireNotification): string {
  return `${id} ${one.Sent}`;
}

/** To everybody: it is hidden from this user only, the others still have it. */
export function isHidden(one: WireNotification, uid: number): boolean {
  return one.Broadcast || one.UID !== uid;
}
