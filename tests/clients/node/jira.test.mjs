// jira.js against the emulated site. Version 6 has no call for GET /group/bulk and no client of the organization API.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createCloudClient, isAuthError, isNotFoundError } from 'jira.js';
import { sorted, start } from './emulator.mjs';

let emulator;
let jira;
// Every answer is held against the library's schemas; they forget that a hidden address may be null.
const surprises = [];

function client(apiToken = emulator.api_token) {
  return createCloudClient({
    host: emulator.site_url,
    auth: { type: 'basic', email: emulator.admin_email, apiToken },
    onSchemaMismatch: ({ endpoint, issues }) => {
      for (const issue of issues) {
        if (issue.path.endsWith('emailAddress') && issue.received === 'null') continue;
        surprises.push({ endpoint, ...issue });
      }
    },
  });
}

before(async () => {
  emulator = await start();
  jira = client();
});

after(() => emulator.stop());

test('the caller is who the token belongs to', async () => {
  const { accounts, groups } = await emulator.site();
  const me = await jira.myself.getCurrentUser({ expand: 'groups' });
  assert.equal(me.emailAddress, emulator.admin_email);
  assert.equal(me.displayName, accounts.get(me.accountId).display_name);
  const mine = [...groups.values()].filter(group => group.members.includes(me.accountId));
  assert.deepEqual(sorted(me.groups.items.map(group => group.name)), sorted(mine.map(group => group.name)));
  const info = await jira.serverInfo.getServerInfo();
  assert.equal(info.deploymentType, 'Cloud');
  assert.equal(info.baseUrl, emulator.site_url);
});

test('the roll of users lists every account page by page', async () => {
  const { accounts } = await emulator.site();
  const found = [];
  for (let page; (page = await jira.users.getAllUsers({ startAt: found.length, maxResults: 25 })).length; ) {
    assert.ok(page.length <= 25);
    found.push(...page);
  }
  assert.equal(found.length, accounts.size);
  assert.deepEqual(sorted(found.map(user => user.accountId)), sorted(accounts.keys()));
  for (const user of found) {
    const account = accounts.get(user.accountId);
    assert.equal(user.accountType, account.account_type);
    assert.equal(user.displayName, account.display_name);
    if (account.account_type !== 'atlassian' || account.email === emulator.admin_email) continue;
    if (account.email_visible) assert.equal(user.emailAddress, account.email);
    else assert.ok(!user.emailAddress, `${account.email} is hidden`);
  }
});

test('a person is found by a visible address', async () => {
  const { accounts, groups } = await emulator.site();
  const visible = groups.get('jira-software-users').members.map(id => accounts.get(id))
    .find(account => account.account_type === 'atlassian' && account.email_visible);
  const found = await jira.userSearch.findUsers({ query: visible.email });
  assert.deepEqual(found.map(user => user.accountId), [visible.account_id]);
});

test('the picker lists the groups, with the query marked', async () => {
  const { groups } = await emulator.site();
  const all = await jira.groups.findGroups({ maxResults: 100 });
  assert.deepEqual(
    sorted(all.groups.map(group => `${group.groupId} ${group.name}`)),
    sorted([...groups.values()].map(group => `${group.group_id} ${group.name}`)),
  );
  const some = await jira.groups.findGroups({ query: 'jira', maxResults: 100 });
  assert.deepEqual(
    sorted(some.groups.map(group => group.name)),
    sorted([...groups.keys()].filter(name => name.includes('jira'))),
  );
  assert.ok(some.groups.every(group => group.html.includes('<b>jira</b>')));
});

test('the members of a group come page by page', async () => {
  const { groups } = await emulator.site();
  const group = groups.get('jira-software-users');
  const found = [];
  for (let last = false; !last; ) {
    const page = await jira.groups.getUsersFromGroup({
      groupId: group.group_id, startAt: found.length, maxResults: 20, includeInactiveUsers: true,
    });
    assert.equal(page.total, group.members.length);
    found.push(...page.values.map(user => user.accountId));
    last = page.isLast;
  }
  assert.equal(found.length, group.members.length);
  assert.deepEqual(sorted(found), sorted(group.members));
});

test('a group is made, filled, emptied and deleted', async () => {
  const made = await jira.groups.createGroup({ name: 'Made by jira.js' });
  const { accounts, groups } = await emulator.site();
  assert.equal(groups.get('Made by jira.js').group_id, made.groupId);
  const accountId = groups.get('jira-software-users').members.find(id => accounts.get(id).account_type === 'atlassian');
  const answer = await jira.groups.addUserToGroup({ groupId: made.groupId, accountId });
  assert.equal(answer.name, 'Made by jira.js');
  assert.deepEqual((await emulator.site()).groups.get('Made by jira.js').members, [accountId]);
  const of = await jira.users.getUserGroups({ accountId });
  assert.ok(of.some(group => group.groupId === made.groupId));
  await assert.rejects(jira.groups.addUserToGroup({ groupId: made.groupId, accountId }), error => {
    assert.equal(error.status, 400);
    assert.equal(error.body.errorMessages.length, 1);
    return true;
  });
  await jira.groups.removeUserFromGroup({ groupId: made.groupId, accountId });
  assert.deepEqual((await emulator.site()).groups.get('Made by jira.js').members, []);
  await assert.rejects(jira.groups.createGroup({ name: 'Made by jira.js' }), { status: 400 });
  await jira.groups.removeGroup({ groupId: made.groupId });
  assert.ok(!(await emulator.site()).groups.has('Made by jira.js'));
});

test('a person is invited into a product and removed from the site', async () => {
  const emailAddress = 'invited@partner.example';
  const made = await jira.users.createUser({ emailAddress, products: ['jira-software'] });
  let { accounts, groups } = await emulator.site();
  assert.equal(accounts.get(made.accountId).email, emailAddress);
  assert.ok(groups.get('jira-software-users').members.includes(made.accountId));
  const read = await jira.users.getUser({ accountId: made.accountId, expand: 'groups,applicationRoles' });
  assert.deepEqual(read.groups.items.map(group => group.name), ['jira-software-users']);
  await jira.users.removeUser({ accountId: made.accountId });
  ({ accounts, groups } = await emulator.site());
  assert.ok([...groups.values()].every(group => !group.members.includes(made.accountId)));
});

test('product access is told with its groups and seats', async () => {
  const { groups } = await emulator.site();
  const { atlassian } = await emulator.control('GET', '/world/export');
  const roles = await jira.applicationRoles.getAllApplicationRoles();
  for (const role of roles) {
    const product = atlassian.products.find(product => product.key === role.key);
    assert.deepEqual(sorted(role.groups), sorted(product.groups));
    assert.deepEqual(sorted(role.defaultGroups), sorted(product.default_groups));
    assert.deepEqual(sorted(role.groupDetails.map(group => group.groupId)),
      sorted(product.groups.map(name => groups.get(name).group_id)));
    assert.equal(role.numberOfSeats, product.seats);
  }
  assert.ok(roles.some(role => role.key === 'jira-software'));
});

test('errors have the form the library reads', async () => {
  await assert.rejects(jira.users.getUser({ accountId: '712020:00000000-0000-4000-8000-000000000000' }), error => {
    assert.ok(isNotFoundError(error));
    assert.deepEqual(Object.keys(error.body).sort(), ['errorMessages', 'errors']);
    return true;
  });
  await assert.rejects(client('wrong').myself.getCurrentUser(), error => {
    assert.ok(isAuthError(error));
    assert.equal(error.status, 401);
    return true;
  });
});

test('no answer differed from the schemas of the library', () => {
  assert.deepEqual(surprises, []);
});
