"""The library `atlassian-python-api` against the emulated site: its older client `Jira` (REST version 2) and its newer
one, `JiraCloud` (version 3). Its clients of the organization API have the address of the cloud built in."""

import pytest
from atlassian import Jira
from atlassian.errors import ApiNotFoundError
from atlassian.jira import JiraCloud
from requests import HTTPError


@pytest.fixture
def older(emulator):
    """Speaks of account ids only to an address with atlassian.net in it, so the emulator is its proxy."""
    return Jira(
        url="http://acme.atlassian.net",
        username=emulator.admin_email,
        password=emulator.api_token,
        cloud=True,
        proxies={"http": emulator.site_url},
    )


@pytest.fixture
def newer(emulator):
    return JiraCloud(emulator.site_url, username=emulator.admin_email, password=emulator.api_token)


def pages(read, size):
    """Reads a list to its end by offset."""
    found = []
    while page := read(len(found), size):
        found += page
    return found


def outsider(site, group):
    accounts, groups = site
    return next(
        account_id
        for account_id, account in sorted(accounts.items())
        if account_id not in groups[group]["members"]
        and account["account_type"] == "atlassian"
        and account["account_status"] == account["membership_status"] == "active"
    )


def test_the_older_client_reads_all_accounts(emulator, older):
    accounts, _ = emulator.site
    found = pages(lambda start, limit: older.users_get_all(start=start, limit=limit), 30)
    assert {account["accountId"] for account in found} == set(accounts)
    assert len(found) == len(accounts)
    for account in found:
        expected = accounts[account["accountId"]]
        assert account["accountType"] == expected["account_type"]
        assert account["displayName"] == expected["display_name"]
        if expected["account_type"] != "atlassian":
            continue
        if expected["email_visible"]:
            assert account["emailAddress"] == expected["email"]
        elif expected["email"] != emulator.admin_email:
            assert not account.get("emailAddress")


def test_the_older_client_finds_people(emulator, older):
    accounts, groups = emulator.site
    someone = accounts[min(groups["jira-software-users"]["members"])]
    (found,) = older.user_find_by_user_string(account_id=someone["account_id"])
    assert found["displayName"] == someone["display_name"]
    one = older.user(account_id=someone["account_id"], expand="groups")
    assert one["groups"]["size"] == sum(someone["account_id"] in group["members"] for group in groups.values())
    with pytest.raises(HTTPError):
        older.user(account_id="712020:00000000-0000-4000-8000-000000000000")


def test_the_older_client_works_on_a_group(emulator, older):
    made = older.create_group("Made By Jira")
    assert emulator.site[1]["Made By Jira"]["group_id"] == made["groupId"]
    person = outsider(emulator.site, "Made By Jira")
    older.add_user_to_group(account_id=person, group_name="Made By Jira")
    assert emulator.site[1]["Made By Jira"]["members"] == {person}
    older.remove_user_from_group(account_id=person, group_name="Made By Jira")
    assert emulator.site[1]["Made By Jira"]["members"] == set()
    older.remove_group("Made By Jira")
    assert "Made By Jira" not in emulator.site[1]


def test_the_older_client_finds_groups(emulator, older):
    _, groups = emulator.site
    found = older.get_groups(limit=100)
    assert {group["name"]: group["groupId"] for group in found["groups"]} == {
        name: group["group_id"] for name, group in groups.items()
    }
    assert found["total"] == len(groups)


def test_the_older_client_reads_all_members_page_by_page(emulator, older):
    _, groups = emulator.site
    expected = groups["jira-software-users"]["members"]
    found, last, start = [], False, 0
    while not last:
        page = older.get_all_users_from_group(
            "jira-software-users", include_inactive_users=True, start=start, limit=33
        )
        assert page["total"] == len(expected)
        found += [member["accountId"] for member in page["values"]]
        start, last = start + page["maxResults"], page["isLast"]
    assert len(found) == len(expected)
    assert set(found) == expected


def test_the_newer_client_lists_groups_page_by_page(emulator, newer):
    _, groups = emulator.site
    found = pages(
        lambda start, size: newer.bulk_get_groups(start_at=start, max_results=size)["values"], 3
    )
    assert {group["name"]: group["groupId"] for group in found} == {
        name: group["group_id"] for name, group in groups.items()
    }


def test_the_newer_client_works_on_a_group_by_its_id(emulator, newer):
    group = newer.create_group(data={"name": "Made By JiraCloud"})["groupId"]
    person = outsider(emulator.site, "Made By JiraCloud")
    answer = newer.add_user_to_group(group_id=group, data={"accountId": person})
    assert answer["name"] == "Made By JiraCloud"
    assert emulator.site[1]["Made By JiraCloud"]["members"] == {person}
    (member,) = newer.get_users_from_group(group_id=group)["values"]
    assert member["accountId"] == person
    assert group in {of["groupId"] for of in newer.get_user_groups(account_id=person)}
    with pytest.raises(HTTPError):
        newer.add_user_to_group(group_id=group, data={"accountId": person})
    newer.remove_user_from_group(group_id=group, account_id=person)
    assert emulator.site[1]["Made By JiraCloud"]["members"] == set()
    newer.remove_group(group_id=group)
    assert "Made By JiraCloud" not in emulator.site[1]
    with pytest.raises((HTTPError, ApiNotFoundError)):
        newer.get_users_from_group(group_id=group)


def test_the_newer_client_invites_and_removes_a_person(emulator, newer):
    address = "new.person@partner.example"
    person = newer.create_user(data={"emailAddress": address, "products": ["jira-software"]})["accountId"]
    accounts, groups = emulator.site
    assert accounts[person]["email"] == address
    assert person in groups["jira-software-users"]["members"]
    (read,) = newer.bulk_get_users(account_id=person)["values"]
    assert read["accountId"] == person
    newer.remove_user(account_id=person)
    accounts, groups = emulator.site
    assert not any(person in group["members"] for group in groups.values())


def test_a_wrong_token_is_refused(emulator):
    client = JiraCloud(emulator.site_url, username=emulator.admin_email, password="wrong")
    with pytest.raises(HTTPError) as caught:
        client.get_current_user()
    assert caught.value.response.status_code == 401
