"""The library `jira` against the emulated site."""

from contextlib import closing

import pytest
from jira import JIRA, JIRAError


@pytest.fixture
def client(emulator):
    with closing(JIRA(server=emulator.site_url, basic_auth=(emulator.admin_email, emulator.api_token))) as client:
        yield client


def test_takes_the_site_for_jira_cloud(emulator, client):
    info = client.server_info()
    assert info["deploymentType"] == "Cloud"
    assert info["baseUrl"] == emulator.site_url
    assert client.deploymentType == "Cloud"


def test_knows_whose_token_it_is(emulator, client):
    accounts, _ = emulator.site
    me = client.myself()
    assert me["emailAddress"] == emulator.admin_email
    assert me["displayName"] == accounts[me["accountId"]]["display_name"]
    assert me["timeZone"] == accounts[me["accountId"]]["time_zone"]
    assert client.current_user("accountId") == me["accountId"]


def test_finds_a_person_by_address_only_when_it_is_visible(emulator, client):
    accounts, groups = emulator.site
    seated = [accounts[member] for member in sorted(groups["jira-software-users"]["members"])]
    people = [person for person in seated if person["account_type"] == "atlassian" and person["email"]]
    visible = next(person for person in people if person["email_visible"])
    (found,) = client.search_users(query=visible["email"])
    assert found.accountId == visible["account_id"]
    assert found.emailAddress == visible["email"]
    assert found.displayName == visible["display_name"]
    assert found.accountType == "atlassian"
    assert client.search_users(query="nobody.here@example.invalid") == []


def test_reads_one_person(emulator, client):
    accounts, groups = emulator.site
    member = min(groups["jira-software-users"]["members"])
    user = client.user(member, expand="groups")
    assert user.displayName == accounts[member]["display_name"]
    assert user.active
    names = {item.name for item in user.groups.items}
    assert names == {name for name, group in groups.items() if member in group["members"]}


def test_lists_all_groups_by_name(emulator, client):
    _, groups = emulator.site
    assert client.groups() == sorted(groups)
    assert client.groups(query="jira-") == sorted(name for name in groups if "jira-" in name)


def test_reads_all_members_of_a_large_group_in_slices(emulator, client):
    accounts, groups = emulator.site
    expected = groups["jira-software-users"]["members"]
    assert len(expected) > 50
    members = client.group_members("jira-software-users")
    assert set(members) == {member for member in expected if accounts[member]["account_status"] == "active"}
    for account_id, member in members.items():
        assert member["fullname"] == accounts[account_id]["display_name"]


def test_creates_and_deletes_a_group(emulator, client):
    assert client.add_group("Made By jira")
    _, groups = emulator.site
    assert groups["Made By jira"]["members"] == set()
    assert "Made By jira" in client.groups()
    with pytest.raises(JIRAError) as caught:
        client.add_group("Made By jira")
    assert caught.value.status_code == 400
    assert client.remove_group("Made By jira")
    assert "Made By jira" not in emulator.site[1]


def test_people_are_no_longer_named_by_user_name(emulator, client):
    """This library names people as Jira Server does (`name`, `username`), which Jira Cloud refuses since 2019."""
    accounts, _ = emulator.site
    client.add_group("Refused")
    try:
        with pytest.raises(JIRAError) as added:
            client.add_user_to_group(emulator.admin_email, "Refused")
        with pytest.raises(JIRAError) as removed:
            client.remove_user_from_group(emulator.admin_email, "Refused")
        assert emulator.site[1]["Refused"]["members"] == set()
    finally:
        client.remove_group("Refused")
    assert added.value.status_code == 400
    assert removed.value.status_code == 400
    assert emulator.site[0] == accounts


def test_an_unknown_group_is_an_error_with_its_text(client):
    with pytest.raises(JIRAError) as caught:
        client.group_members("No Such Group")
    assert caught.value.status_code == 404
    assert "No Such Group" in caught.value.text


def test_a_wrong_token_is_refused(emulator):
    with closing(JIRA(server=emulator.site_url, basic_auth=(emulator.admin_email, "wrong"))) as client:
        with pytest.raises(JIRAError) as caught:
            client.myself()
        assert caught.value.status_code == 401
        assert "Client must be authenticated" in caught.value.text
        assert caught.value.response.headers["X-Seraph-LoginReason"] == "AUTHENTICATED_FAILED"
        # What is open to anonymous callers answers 200 and nothing.
        assert client.groups() == []
