// The part of Backstage that reads a company from Graph, against the emulated one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import backstage from '@backstage/plugin-catalog-backend-module-msgraph';
import { membersOf, sorted, start } from './emulator.mjs';

const { MicrosoftGraphClient, readMicrosoftGraphOrg, normalizeEntityName } = backstage;
const { MICROSOFT_GRAPH_GROUP_ID_ANNOTATION: GROUP_ID, MICROSOFT_GRAPH_USER_ID_ANNOTATION: USER_ID } = backstage;
const quiet = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

let emulator;
let client;

before(async () => {
  emulator = await start();
  client = new MicrosoftGraphClient(`${emulator.graph_url}/v1.0`, {
    async getToken() {
      const { access_token: token, expires_in: seconds } = await emulator.token();
      return { token, expiresOnTimestamp: Date.now() + seconds * 1000 };
    },
  });
});

after(() => emulator.stop());

const collect = async iterable => {
  const found = [];
  for await (const item of iterable) found.push(item);
  return found;
};

/** The groups that hold a user, directly or through other groups. */
function groupsAbove(groups, userId) {
  const above = new Set([...groups.values()].filter(g => membersOf(g, 'user').includes(userId)).map(g => g.id));
  for (let size = -1; size !== above.size; ) {
    size = above.size;
    for (const group of groups.values()) {
      if (membersOf(group, 'group').some(id => above.has(id))) above.add(group.id);
    }
  }
  return above;
}

test('Backstage sees the users, groups and members of the world', async () => {
  const { users, groups } = await emulator.directory();
  const read = await readMicrosoftGraphOrg(client, emulator.tenant_id, { loadUserPhotos: false, logger: quiet });

  const enabled = [...users.values()].filter(user => user.accountEnabled);
  assert.ok(enabled.length < users.size);
  const seen = new Map(read.users.map(entity => [entity.metadata.annotations[USER_ID], entity]));
  assert.deepEqual(sorted(seen.keys()), sorted(enabled.map(user => user.id)));

  const entities = read.groups.filter(entity => entity.metadata.annotations[GROUP_ID]);
  assert.deepEqual(sorted(entities.map(entity => entity.metadata.annotations[GROUP_ID])), sorted(groups.keys()));
  for (const entity of entities) {
    const group = groups.get(entity.metadata.annotations[GROUP_ID]);
    assert.equal(entity.spec.profile.displayName, group.displayName);
    assert.equal(entity.metadata.description, group.description ?? undefined);
  }
  const [top] = read.groups.filter(entity => entity.spec.type === 'root');
  assert.equal(Object.values(top.metadata.annotations)[0], emulator.tenant_id);

  const references = new Map(entities.map(entity => [
    entity.metadata.annotations[GROUP_ID],
    `group:default/${entity.metadata.name}`.toLowerCase(),
  ]));
  for (const user of enabled) {
    const entity = seen.get(user.id);
    assert.equal(entity.spec.profile.displayName, user.displayName);
    assert.equal(entity.spec.profile.email, user.mail ?? undefined);
    assert.equal(entity.metadata.name, normalizeEntityName(user.mail ?? user.userPrincipalName));
    const memberOf = new Set(entity.spec.memberOf.map(reference => reference.toLowerCase()));
    const direct = [...groups.values()].filter(group => membersOf(group, 'user').includes(user.id));
    for (const group of direct) assert.ok(memberOf.has(references.get(group.id)), `${user.displayName}: ${group.displayName}`);
    const above = new Set([...groupsAbove(groups, user.id)].map(id => references.get(id)));
    for (const reference of memberOf) {
      assert.ok(above.has(reference) || reference === `group:default/${top.metadata.name}`, `${reference} of ${user.displayName}`);
    }
  }
});

test('Backstage reads only the users of some groups', async () => {
  const { users, groups } = await emulator.directory();
  const group = [...groups.values()].find(
    group => [...groups.values()].filter(other => other.displayName === group.displayName).length === 1
      && membersOf(group, 'user').length > 3,
  );
  const read = await readMicrosoftGraphOrg(client, emulator.tenant_id, {
    loadUserPhotos: false,
    logger: quiet,
    // An OData cast, which this asks for, is an advanced query.
    queryMode: 'advanced',
    userGroupMemberFilter: `displayName eq '${group.displayName.replaceAll("'", "''")}'`,
  });
  assert.deepEqual(
    sorted(read.users.map(entity => entity.metadata.annotations[USER_ID])),
    sorted(membersOf(group, 'user').filter(id => users.get(id).accountEnabled)),
  );
});

test("Backstage's client pages, filters and searches", async () => {
  const { users, groups } = await emulator.directory();
  const all = await collect(client.getUsers({ select: ['id'], top: 41 }));
  assert.equal(all.length, users.size);
  assert.deepEqual(sorted(all.map(user => user.id)), sorted(users.keys()));
  const guests = await collect(client.getUsers({ filter: "userType eq 'Guest'", select: ['id'] }));
  assert.deepEqual(
    sorted(guests.map(user => user.id)),
    sorted([...users.values()].filter(user => user.userType === 'Guest').map(user => user.id)),
  );
  const [group] = groups.values();
  const found = await collect(client.getGroups({ search: `"displayName:${group.displayName}"`, select: ['id'] }));
  assert.ok(found.some(other => other.id === group.id));
  const members = await collect(client.getGroupMembers(group.id, { top: 10 }));
  assert.deepEqual(sorted(members.map(member => member.id)), sorted(group.members.map(member => member.id)));
});

test('an error of Graph reaches Backstage with its code', async () => {
  await assert.rejects(
    collect(client.getGroupMembers('00000000-0000-4000-8000-000000000000')),
    /Request_ResourceNotFound/,
  );
  await assert.rejects(collect(client.getUsers({ filter: 'noSuchProperty eq 1' })), /400|BadRequest|filter/i);
});
