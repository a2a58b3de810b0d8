"""Everything that the package `evolutionapi` offers, against a server and its simulated network."""

import base64
import io
import struct
import sys
import threading
import time
import zlib

import requests
from evolutionapi.client import EvolutionClient
from evolutionapi.exceptions import EvolutionAuthenticationError, EvolutionNotFoundError
from evolutionapi.models.call import FakeCall
from evolutionapi.models.chat import (
    ArchiveChat,
    CheckIsWhatsappNumber,
    Presence,
    ProfilePicture as PictureOf,
    ReadMessage,
    UnreadChat,
    UpdateMessage,
)
from evolutionapi.models.group import (
    CreateGroup,
    GroupDescription,
    GroupInvite,
    GroupPicture,
    GroupSubject,
    ToggleEphemeral,
    UpdateParticipant,
    UpdateSetting,
)
from evolutionapi.models.instance import InstanceConfig
from evolutionapi.models.label import HandleLabel
from evolutionapi.models.message import (
    Button,
    ButtonMessage,
    Contact,
    ContactMessage,
    ListMessage,
    ListRow,
    ListSection,
    LocationMessage,
    MediaMessage,
    PollMessage,
    QuotedMessage,
    ReactionMessage,
    TextMessage,
)
from evolutionapi.models.presence import PresenceStatus
from evolutionapi.models.profile import (
    FetchProfile,
    PrivacySettings,
    ProfileName,
    ProfilePicture,
    ProfileStatus,
)
from evolutionapi.models.websocket import WebSocketConfig

DEADLINE = 30
SHOP = "shop"


class Network:
    """The other side: phones and people."""

    def __init__(self, base):
        self.base = base

    def post(self, path, body):
        answer = requests.post(f"{self.base}{path}", json=body, timeout=DEADLINE)
        assert answer.ok, (path, answer.text)
        return answer.json()

    def scan(self, code):
        url = f"{self.base}/admin/mock-phone/scan-qr"
        answer = requests.post(url, data=code.encode(), timeout=DEADLINE)
        assert answer.ok, answer.text
        return answer.json()["phone"]

    def contact(self, name):
        return self.post("/admin/contacts", {"name": name})["phone"]

    def inbox(self, phone):
        url = f"{self.base}/admin/contacts/{phone}/messages"
        return requests.get(url, timeout=DEADLINE).json()["messages"]


def until(what, ask):
    """The first true answer."""
    began = time.monotonic()
    while time.monotonic() - began < DEADLINE:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not in time: {what}")


def png():
    """A picture of 32 by 32 pixels."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + bytes((x * 8, y * 8, 128)[i] for x in range(32) for i in range(3)) for y in range(32))
    head = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Story:
    def __init__(self, server, key, network):
        self.client = EvolutionClient(server, key)
        self.server = server
        self.network = Network(network)
        self.token = None
        self.ana = self.network.contact("Ana")
        self.bob = self.network.contact("Bob")

    def arrived(self, sent, check=lambda message: True):
        assert sent.get("key", {}).get("id"), sent
        wanted = sent["key"]["id"]
        found = until(f"{wanted} arrives", lambda: [m for m in self.network.inbox(self.ana) if m["id"] == wanted])
        assert check(found[0]), found[0]
        return found[0]

    def instance(self):
        config = InstanceConfig(instanceName=SHOP, integration="WHATSAPP-BAILEYS", qrcode=True, groupsIgnore=False)
        made = self.client.instances.create_instance(config)
        self.token = made["hash"]
        assert made["qrcode"]["code"].startswith("2@"), made
        operations = self.client.instance_operations
        shown = operations.connect(SHOP, self.token)
        self.phone = self.network.scan(shown["code"])
        until("it is open", lambda: operations.get_connection_state(SHOP, self.token)["instance"]["state"] == "open")
        assert operations.restart(SHOP, self.token), "restarted"
        until("it is open again", lambda: operations.get_connection_state(SHOP, self.token)["instance"]["state"] == "open")
        done = operations.set_presence(SHOP, PresenceStatus.AVAILABLE, self.token)
        assert done == {"presence": "available"}, done
        names = [one["name"] for one in self.client.instances.fetch_instances()]
        assert names == [SHOP], names
        for bad in ("wrong", "wrong-and-longer"):
            try:
                operations.get_connection_state(SHOP, bad)
                raise AssertionError("a wrong key is refused")
            except EvolutionAuthenticationError:
                pass
        try:
            self.client.get("instance/connectionState/nobody")
            raise AssertionError("there is no such instance")
        except EvolutionNotFoundError:
            pass

    def live(self):
        """The manager hears what comes in."""
        websocket = self.client.websocket
        events = ["MESSAGES_UPSERT", "SEND_MESSAGE", "CONNECTION_UPDATE"]
        websocket.set_websocket(SHOP, WebSocketConfig(enabled=True, events=events), self.token)
        info = websocket.find_websocket(SHOP, self.token)
        assert info.enabled and sorted(info.events) == sorted(events), vars(info)
        heard, seen = threading.Event(), []
        manager = self.client.create_websocket(SHOP, self.token, max_retries=0)

        def on_message(event):
            seen.append(event)
            heard.set()

        manager.on("messages.upsert", on_message)
        manager.connect()
        self.network.post(f"/admin/contacts/{self.ana}/messages", {"to": self.phone, "text": "Hello, shop"})
        assert heard.wait(DEADLINE), "the manager heard nothing"
        assert seen[0]["data"]["message"]["conversation"] == "Hello, shop", seen
        assert self.client.get_message_content(seen[0]["data"]) == "Hello, shop"
        manager.disconnect()
        self.question = seen[0]["data"]["key"]

    def messages(self):
        messages, shop, token, ana = self.client.messages, SHOP, self.token, self.ana
        quoted = QuotedMessage(key={"id": self.question["id"]})
        text = messages.send_text(shop, TextMessage(ana, "Hi Ana", delay=10, quoted=quoted), token)
        self.text = text
        self.arrived(text, lambda got: got["text"] == "Hi Ana")
        media = MediaMessage(ana, mediatype="image", caption="look", mimetype="image/png", fileName="a.png")
        sent = messages.send_media(shop, media, token, io.BytesIO(png()))
        self.arrived(sent, lambda got: got["caption"] == "look" and got["type"] == "image")
        sent = messages.send_sticker(shop, {"number": ana}, token, io.BytesIO(png()))
        self.arrived(sent, lambda got: got["type"] == "sticker")
        place = LocationMessage(ana, "Shop", "Street 1", -23.5, -46.6, delay=1)
        self.arrived(messages.send_location(shop, place, token))
        card = Contact("Bob", self.bob, f"+{self.bob}", "Bobs", "bob@example.com", "https://example.com")
        self.arrived(messages.send_contact(shop, ContactMessage(ana, [card]), token))
        poll = PollMessage(ana, "When?", 1, ["now", "later"])
        self.arrived(messages.send_poll(shop, poll, token), lambda got: got["type"] == "poll")
        rows = [ListRow("Blue", "as the sky", "b"), ListRow("Red", "as a rose", "r")]
        menu = ListMessage(ana, "Colours", "Choose one", "Open", "the shop", [ListSection("All", rows)])
        self.arrived(messages.send_list(shop, menu, token))
        buttons = ButtonMessage(ana, "Sure?", "It is the last", "the shop", [Button("reply", "Yes", id="y")])
        self.arrived(messages.send_buttons(shop, buttons, token))
        key = {"remoteJid": text["key"]["remoteJid"], "fromMe": True, "id": text["key"]["id"]}
        reaction = messages.send_reaction(shop, ReactionMessage(key, "👍"), token)
        assert reaction["message"]["reactionMessage"]["text"] == "👍", reaction

    def chats(self):
        chat, token, jid = self.client.chat, self.token, self.question["remoteJid"]
        numbers = chat.check_is_whatsapp_numbers(SHOP, CheckIsWhatsappNumber([self.ana, "4915100000000"]), token)
        assert [one["exists"] for one in numbers] == [True, False], numbers
        read = chat.mark_message_as_read(SHOP, [ReadMessage(jid, False, self.question["id"])], token)
        assert read == {"message": "Read messages", "read": "success"}, read
        last = {"key": {"remoteJid": jid, "fromMe": False, "id": self.question["id"]}}
        archived = chat.archive_chat(SHOP, ArchiveChat(last, jid, True), token)
        assert archived["archived"] is True, archived
        unread = chat.mark_chat_unread(SHOP, UnreadChat(last, jid), token)
        assert unread["markedChatUnread"] is True, unread
        picture = chat.fetch_profile_picture_url(SHOP, PictureOf(self.ana), token)
        assert picture["wuid"].startswith(self.ana), picture
        presence = chat.send_presence(SHOP, Presence(self.ana, 10, "composing"), token)
        assert presence == {"presence": "composing"}, presence
        key = {"remoteJid": jid, "fromMe": True, "id": self.text["key"]["id"]}
        chat.update_message(SHOP, UpdateMessage(self.ana, key, "Hello Ana"), token)
        until("the text is changed", lambda: any(m["text"] == "Hello Ana" for m in self.network.inbox(self.ana)))
        found = chat.get_messages(SHOP, jid, token, from_me=False, message_type="conversation", page=1, offset=10)
        records = found["messages"]["records"]
        assert [one["key"]["id"] for one in records] == [self.question["id"]], found
        one = chat.get_messages(SHOP, jid, token, message_id=records[0]["id"])
        assert one["messages"]["total"] == 1, one

    def profile(self):
        profile, token = self.client.profile, self.token
        who = profile.fetch_profile(SHOP, FetchProfile(self.ana), token)
        assert who["numberExists"] is True and who["wuid"].startswith(self.ana), who
        business = profile.fetch_business_profile(SHOP, FetchProfile(self.ana), token)
        assert business["isBusiness"] is False, business
        success = {"update": "success"}
        assert profile.update_profile_name(SHOP, ProfileName("The shop"), token) == success
        assert profile.update_profile_status(SHOP, ProfileStatus("Open until nine"), token) == success
        picture = ProfilePicture(base64.b64encode(png()).decode())
        assert profile.update_profile_picture(SHOP, picture, token) == success
        assert profile.remove_profile_picture(SHOP, token) == success
        settings = PrivacySettings("all", "contacts", "all", "all", "contacts", "contacts")
        updated = profile.update_privacy_settings(SHOP, settings, token)
        assert updated["update"] == "success", updated
        now = profile.fetch_privacy_settings(SHOP, token)
        assert now["profile"] == "contacts" and now["readreceipts"] == "all", now

    def groups(self):
        group, token = self.client.group, self.token
        made = group.create_group(SHOP, CreateGroup("Customers", [self.ana], "Ours"), token)
        jid = made["id"]
        assert made["subject"] == "Customers" and jid.endswith("@g.us"), made
        success = {"update": "success"}
        assert group.update_group_subject(SHOP, jid, GroupSubject("Friends"), token) == success
        assert group.update_group_description(SHOP, jid, GroupDescription("Of the shop"), token) == success
        picture = GroupPicture(base64.b64encode(png()).decode())
        assert group.update_group_picture(SHOP, jid, picture, token) == success
        info = group.get_group_info(SHOP, jid, token)
        assert (info["subject"], info["desc"]) == ("Friends", "Of the shop"), info
        listed = group.fetch_all_groups(SHOP, token, get_participants=True)
        assert [one["id"] for one in listed] == [jid], listed
        added = group.update_participant(SHOP, jid, UpdateParticipant("add", [self.bob]), token)
        assert added["updateParticipants"][0]["status"] == "200", added
        assert len(group.get_participants(SHOP, jid, token)["participants"]) == 3
        assert group.update_setting(SHOP, jid, UpdateSetting("announcement"), token) == {}
        assert group.toggle_ephemeral(SHOP, jid, ToggleEphemeral(86400), token) == {"success": True}
        code = group.get_invite_code(SHOP, jid, token)["inviteCode"]
        assert group.get_invite_info(SHOP, code, token)["id"] == jid
        sent = group.send_invite(SHOP, GroupInvite(jid, "Come in", [self.ana]), token)
        assert sent["send"] is True, sent
        renewed = group.revoke_invite_code(SHOP, jid, token)
        assert renewed["revoked"] is True and renewed["inviteCode"] != code, renewed
        left = group.leave_group(SHOP, jid, token)
        assert left["leave"] is True, left

    def others(self):
        call = self.client.calls.fake_call(SHOP, FakeCall(self.ana, False, 3), self.token)
        assert call["status"] == 400, "what is not served is no success"
        labels = self.client.label
        done = labels.handle_label(SHOP, HandleLabel(self.ana, "7", "add"), self.token)
        assert done["add"] is True, done

    def end(self):
        operations = self.client.instance_operations
        for _ in range(2):
            assert operations.logout(SHOP, self.token)["status"] == "SUCCESS"
        assert operations.delete(SHOP, self.token)["status"] == "SUCCESS"


def main():
    story = Story(*sys.argv[1:4])
    for chapter in ("instance", "live", "messages", "chats", "profile", "groups", "others", "end"):
        print(chapter, flush=True)
        getattr(story, chapter)()
    print("all seen")


if __name__ == "__main__":
    main()
