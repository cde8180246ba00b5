/*
 * Users and groups: what the server is asked for when a form has been changed. The server has a
 * route per property, so a form becomes a list of calls, in an order in which a failure leaves no
 * more rights than were meant.
 */

export interface Group {
  GID: number;
  Name: string;
  Desc: string;
}

export interface Account {
  UID: number;
  User: string;
  Name: string;
  Email: string;
  Admin: boolean;
  Locked: boolean;
  Groups: Group[];
  TS: string;
  Synced: boolean;
}

export interface UserForm {
  User: string;
  Name: string;
  Email: string;
  Admin: boolean;
  Locked: boolean;
  gids: number[];
  password: string; /* empty: it stays */
}

export interface ApiCall {
  method: string;
  path: string;
  json?: unknown;
}

export function formOf(account: Account | null): UserForm {
  return {
    User: account?.User ?? '',
    Name: account?.Name ?? '',
    Email: account?.Email ?? '',
    Admin: account?.Admin ?? false,
    Locked: account?.Locked ?? false,
    gids: (account?.Groups ?? []).map((group) => group.GID),
    password: '',
  };
}

/** What is taken away comes first, what is given last. */
export function changesOf(account: Account, form: UserForm): ApiCall[] {
  const path = `/api/users/${account.UID}`;
  const before = formOf(account);
  const calls: ApiCall[] = [];
  const flag = (name: 'Admin' | 'Locked', taking: boolean) => {
    if (form[name] !== before[name] && (form[name] === (name === 'Locked')) === taking) {
      calls.push({
        method: form[name] ? 'PUT' : 'DELETE',
        path: `${path}/${name === 'Admin' ? 'admin' : 'lock'}`,
      });
    }
  };
  flag('Locked', true);
  flag('Admin', true);
  for (const gid of before.gids.filter((gid) => !form.gids.includes(gid))) {
    calls.push({ method: 'DELETE', path: `${path}/group/${gid}` });
  }
  if (form.User !== before.User || form.Name !== before.Name || form.Email !== before.Email) {
    const { User, Name, Email } = form;
    calls.push({ method: 'PUT', path, json: { User, Name, Email } });
  }
  if (form.password !== '') {
    calls.push({ method: 'PUT', path: `${path}/pwd`, json: { NewPass: form.password } });
  }
  const GIDs = form.gids.filter((gid) => !before.gids.includes(gid));
  if (GIDs.length > 0) {
    calls.push({ method: 'POST', path: `${path}/group`, json: { GIDs } });
  }
  flag('Admin', false);
  flag('Locked', false);
  return calls;
}
