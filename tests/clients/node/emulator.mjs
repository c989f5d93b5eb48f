// Starts the emulator for one file of tests, and asks its control address what its world holds.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** A running emulator: its addresses and credentials, and its control address as functions. */
export async function start() {
  const program = process.env.ENTRAIN_BIN ?? `${root}target/debug/entrain`;
  const child = spawn(program, ['emulate', '--people', '300', '--groups', '20', '--seed', '7'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise(resolve => child.once('exit', resolve));
  const line = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', code => reject(new Error(`${program} ended with ${code} before it was ready`)));
    createInterface({ input: child.stdout }).once('line', resolve);
  });
  const description = JSON.parse(line);

  async function control(method, path, body) {
    const answer = await fetch(description.control_url + path, {
      method,
      headers: { 'Content-Type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  return {
    ...description,
    control,
    change: (...changes) => control('POST', '/world/changes', changes),

    /** The directory as it is now: users and groups by id. */
    async directory() {
      const { tenant } = await control('GET', '/world/export');
      return {
        users: new Map(tenant.users.map(user => [user.id, user])),
        groups: new Map(tenant.groups.map(group => [group.id, group])),
      };
    },

    /** The site as it is now: accounts by id, groups by name. */
    async site() {
      const { atlassian } = await control('GET', '/world/export');
      return {
        accounts: new Map(atlassian.accounts.map(account => [account.account_id, account])),
        groups: new Map(atlassian.groups.map(group => [group.name, group])),
      };
    },

    /** A new access token for Graph, from the emulated sign-in. */
    async token() {
      const answer = await fetch(`${description.authority_url}/${description.tenant_id}/oauth2/v2.0/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: description.client_id,
          client_secret: description.client_secret,
          scope: 'https://graph.microsoft.com/.default',
        }),
      });
      return answer.json();
    },

    async stop() {
      child.kill();
      await ended;
    },
  };
}

/** The ids of a group's members of one type. */
export const membersOf = (group, type) =>
  group.members.filter(member => member.type === type).map(member => member.id);

export const sorted = values => [...values].sort();
