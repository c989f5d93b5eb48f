// Microsoft's own client for JavaScript against the emulated Graph.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import graph from '@microsoft/microsoft-graph-client';
import { membersOf, sorted, start } from './emulator.mjs';

const { AuthenticationHandler, BatchRequestContent, BatchResponseContent, Client, GraphError, PageIterator } = graph;
const { RetryHandler, RetryHandlerOptions } = graph;
const nobody = '00000000-0000-4000-8000-000000000000';

/**
 * The end of the client's chain of handlers. The client sends its token and follows links over https only, which the
 * emulator does not speak: this handler stands for TLS, on the way there and in the links on the way back.
 */
class InsteadOfTls {
  async execute(context) {
    const { origin } = new URL(emulator.graph_url);
    const secure = origin.replace('http:', 'https:');
    const answer = await fetch(context.request.replace(secure, origin), context.options);
    const text = (await answer.text()).replaceAll(`"${origin}/`, `"${secure}/`);
    context.response = new Response(answer.status === 204 ? null : text, answer);
  }
}

let emulator;
let client;

before(async () => {
  emulator = await start();
  client = Client.initWithMiddleware({
    baseUrl: emulator.graph_url.replace('http:', 'https:'),
    customHosts: new Set(['127.0.0.1']),
    middleware: [
      new AuthenticationHandler({ getAccessToken: async () => (await emulator.token()).access_token }),
      new RetryHandler(new RetryHandlerOptions()),
      new InsteadOfTls(),
    ],
  });
});

after(() => emulator.stop());

/** All objects of a list or a delta round, by the client's own iterator, and the link of the next round. */
async function all(first, options) {
  const found = [];
  const iterator = new PageIterator(client, first, item => Boolean(found.push(item)), options);
  await iterator.iterate();
  assert.ok(iterator.isComplete());
  return { found, deltaLink: iterator.getDeltaLink() };
}

test('all users come page by page', async () => {
  const { users } = await emulator.directory();
  const first = await client.api('/users').select(['id', 'userPrincipalName', 'accountEnabled']).top(77).get();
  assert.equal(first.value.length, 77);
  const { found } = await all(first);
  assert.equal(found.length, users.size);
  assert.deepEqual(
    sorted(found.map(user => `${user.id} ${user.userPrincipalName} ${user.accountEnabled}`)),
    sorted([...users.values()].map(user => `${user.id} ${user.userPrincipalName} ${user.accountEnabled}`)),
  );
});

test('all groups and their members are those of the world', async () => {
  const { groups } = await emulator.directory();
  const { found } = await all(await client.api('/groups').top(6).get());
  assert.deepEqual(sorted(found.map(group => group.id)), sorted(groups.keys()));
  for (const group of groups.values()) {
    const members = await all(await client.api(`/groups/${group.id}/members`).select('id').top(50).get());
    for (const type of ['user', 'group']) {
      const seen = members.found.filter(member => member['@odata.type'] === `#microsoft.graph.${type}`);
      assert.deepEqual(sorted(seen.map(member => member.id)), sorted(membersOf(group, type)), group.displayName);
    }
    assert.equal(members.found.length, group.members.length);
  }
});

test('one user with manager, and the groups of a user', async () => {
  const { users, groups } = await emulator.directory();
  const user = [...users.values()].find(
    user => user.manager && [...groups.values()].some(group => membersOf(group, 'user').includes(user.id)),
  );
  const read = await client.api(`/users/${user.userPrincipalName}`).select('id,department').expand('manager').get();
  assert.equal(read.id, user.id);
  assert.equal(read.department, user.department);
  assert.equal(read.manager.id, user.manager);
  const above = await client.api(`/users/${user.id}/memberOf`).get();
  const direct = [...groups.values()].filter(group => membersOf(group, 'user').includes(user.id));
  assert.deepEqual(sorted(above.value.map(group => group.id)), sorted(direct.map(group => group.id)));
});

test('advanced queries count', async () => {
  const { users } = await emulator.directory();
  const disabled = [...users.values()].filter(user => !user.accountEnabled);
  assert.ok(disabled.length > 0);
  const page = await client.api('/users').header('ConsistencyLevel', 'eventual')
    .filter('accountEnabled ne true').count(true).top(5).get();
  assert.equal(page['@odata.count'], disabled.length);
  assert.equal(page.value.length, Math.min(5, disabled.length));
  const { found } = await all(page, { headers: { ConsistencyLevel: 'eventual' } });
  assert.deepEqual(sorted(found.map(user => user.id)), sorted(disabled.map(user => user.id)));
  // The client gives text as text.
  assert.equal(await client.api('/users/$count').header('ConsistencyLevel', 'eventual').get(), String(users.size));
});

test('a delta round of users and one of groups tell what changed', async () => {
  const { users, groups } = await emulator.directory();
  const group = [...groups.values()].find(group => membersOf(group, 'user').length > 2);
  const [renamed, leaver] = membersOf(group, 'user');
  const usersBefore = await all(await client.api('/users/delta').select('id,displayName').get());
  const groupsBefore = await all(await client.api('/groups/delta').select('id,displayName,members').get());
  assert.deepEqual(sorted(usersBefore.found.map(user => user.id)), sorted(users.keys()));
  const members = new Map();
  for (const entry of groupsBefore.found) {
    members.set(entry.id, [...(members.get(entry.id) ?? []), ...(entry['members@delta'] ?? [])]);
  }
  for (const group of groups.values()) {
    assert.deepEqual(sorted(members.get(group.id).map(member => member.id)), sorted(group.members.map(m => m.id)));
  }

  await emulator.change(
    { change: 'update_user', user: renamed, set: { displayName: 'Renamed In Between' } },
    { change: 'remove_member', group: group.id, member: { type: 'user', id: leaver } },
  );
  const usersAfter = await all(await client.api(usersBefore.deltaLink).get());
  const groupsAfter = await all(await client.api(groupsBefore.deltaLink).get());
  assert.deepEqual(usersAfter.found.map(user => [user.id, user.displayName]), [[renamed, 'Renamed In Between']]);
  assert.equal(groupsAfter.found.length, 1);
  assert.equal(groupsAfter.found[0].id, group.id);
  assert.deepEqual(groupsAfter.found[0]['members@delta'].map(({ id, '@removed': removed }) => [id, removed.reason]), [
    [leaver, 'deleted'],
  ]);
});

test('a batch is taken apart by the client', async () => {
  const { users, groups } = await emulator.directory();
  const [user] = users.values();
  const [group] = groups.values();
  const origin = emulator.graph_url.replace('http:', 'https:');
  const step = (id, path) => ({ id, request: new Request(origin + path, { method: 'GET' }) });
  const content = new BatchRequestContent([
    step('user', `/users/${user.id}`),
    step('group', `/groups/${group.id}/members?$select=id&$top=999`),
    step('none', `/users/${nobody}`),
  ]);
  const answer = new BatchResponseContent(await client.api('/$batch').post(await content.getContent()));
  assert.equal(answer.getResponses().size, 3);
  assert.equal((await answer.getResponseById('user').json()).userPrincipalName, user.userPrincipalName);
  const members = (await answer.getResponseById('group').json()).value;
  assert.deepEqual(sorted(members.map(member => member.id)), sorted(group.members.map(member => member.id)));
  assert.equal(answer.getResponseById('none').status, 404);
});

test('errors become those of the client', async () => {
  await assert.rejects(client.api(`/users/${nobody}`).get(), error => {
    assert.ok(error instanceof GraphError);
    assert.equal(error.statusCode, 404);
    assert.equal(error.code, 'Request_ResourceNotFound');
    assert.match(error.requestId, /^[0-9a-f-]{36}$/);
    return true;
  });
  await assert.rejects(client.api('/users').filter("noSuchProperty eq 'x'").get(), error => error.statusCode === 400);
  await assert.rejects(client.api('/users').version('v9.9').get(), error => error.statusCode === 400);
});

test('the client waits out a 503 with Retry-After', async () => {
  await emulator.control('POST', '/faults', {
    surface: 'graph', path: '/v1.0/groups', count: 1,
    kind: { status: { status: 503, headers: { 'Retry-After': '1' } } },
  });
  const { groups } = await emulator.directory();
  assert.equal((await client.api('/groups').get()).value.length, groups.size);
  const log = await emulator.control('GET', '/log?surface=graph&status=503');
  assert.equal((log.entries ?? log).length, 1);
});
