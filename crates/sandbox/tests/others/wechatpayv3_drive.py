"""Drives the sandbox with `wechatpayv3` from PyPI. Prints a line for each thing that was seen; fails
with the first one that is not as it should be."""

import gzip
import hashlib
import json
import os
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import redirect  # noqa: F401
from wechatpayv3 import WeChatPay, WeChatPayType

SANDBOX = os.environ["SANDBOX"]
FILES = Path(os.environ["SANDBOX_FILES"])
KNOWN = json.loads((FILES / "credentials.json").read_text())
INFOS = [{"info_type": "活动名称", "info_content": "新会员有礼"},
         {"info_type": "奖励说明", "info_content": "注册会员抽奖"}]


def admin(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{SANDBOX}/_sandbox/{path}", data,
                                     {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def good(name, holds, told=""):
    if not holds:
        sys.exit(f"not so: {name} {told}")
    print(name, flush=True)


class Merchant:
    """A client in one of the two modes, and the address that its notifications go to."""

    def __init__(self, mode):
        self.mode = mode
        self.seen = []
        self.came = threading.Condition()
        outer = self

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                # Their code verifies and decrypts.
                told = outer.client.callback(dict(self.headers), body)
                with outer.came:
                    outer.seen.append(told)
                    outer.came.notify_all()
                self.send_response(204 if told else 500)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.hook = f"http://127.0.0.1:{server.server_port}/hook"
        keys = {}
        if mode == "key":
            keys = {"public_key": (FILES / "pub_key.pem").read_text(),
                    "public_key_id": KNOWN["public_key_id"]}
        self.client = WeChatPay(
            wechatpay_type=WeChatPayType.JSAPI, mchid=KNOWN["mchid"], appid=KNOWN["appid"],
            private_key=(FILES / "apiclient_key.pem").read_text(),
            cert_serial_no=KNOWN["merchant_serial"], apiv3_key=KNOWN["apiv3_key"],
            notify_url=self.hook, **keys)

    def told(self, count, seconds=10):
        with self.came:
            self.came.wait_for(lambda: len(self.seen) >= count, seconds)
            return self.seen[count - 1] if len(self.seen) >= count else "nothing"

    def told_later(self, count):
        """What comes once time has passed. The sandbox may still be writing down that its last try
        was refused when the clock is set, and then begins to wait from there: so it is set again."""
        told = "nothing"
        for _ in range(10):
            admin("clock", {"advance_seconds": 20})
            told = self.told(count, 2)
            if told != "nothing":
                break
        return told

    def transfer(self, number, openid, fen, name=None):
        code, text = self.client.mch_transfer_bills(
            out_bill_no=number, transfer_scene_id="1000", openid=openid, transfer_amount=fen,
            transfer_remark="2020年4月报销", user_name=name, transfer_scene_report_infos=INFOS)
        return code, json.loads(text)


def transfers(merchant, openid, mark):
    code, made = merchant.transfer(f"{mark}T1", openid, 500, "王小王")
    good(f"{mark} transfer", (code, made["state"]) == (200, "WAIT_USER_CONFIRM"), made)
    again = merchant.transfer(f"{mark}T1", openid, 500, "王小王")
    good(f"{mark} same again", again[1]["package_info"] == made["package_info"], again)
    code, other = merchant.transfer(f"{mark}T1", openid, 501, "王小王")
    good(f"{mark} other content", (code, other["code"]) == (400, "INVALID_REQUEST"), other)
    admin(f"transfers/{mark}T1/confirm", {})
    code, asked = merchant.client.mch_transfer_bills_query(out_bill_no=f"{mark}T1")
    good(f"{mark} query", json.loads(asked)["state"] == "SUCCESS", asked)
    name = merchant.client.decrypt(json.loads(asked)["user_name"])
    good(f"{mark} name", name == "王小王", name)
    told = merchant.told(1)
    good(f"{mark} notification", told["resource"]["state"] == "SUCCESS"
         and told["event_type"] == "MCHTRANSFER.BILL.FINISHED", told)
    merchant.transfer(f"{mark}T2", openid, 100)
    code, ended = merchant.client.mch_transfer_bills_cancel(f"{mark}T2")
    good(f"{mark} cancel", json.loads(ended)["state"] in ("CANCELING", "CANCELLED"), ended)
    told = merchant.told(2)
    good(f"{mark} cancelled", told["resource"]["state"] == "CANCELLED", told)
    code, wrong = merchant.transfer(f"{mark}T3", openid, 500, "别人")
    good(f"{mark} wrong name", wrong["fail_reason"] == "NAME_NOT_CORRECT", wrong)
    merchant.told(3)


def batches(merchant, openid, mark):
    items = [{"out_detail_no": f"{mark}D{no}", "transfer_amount": 100 * no, "openid": openid,
              "transfer_remark": "报销", "user_name": name}
             for no, name in ((1, "王小王"), (2, "别人"))]
    code, text = merchant.client.transfer_batch(
        out_batch_no=f"{mark}B1", batch_name="深圳分部", batch_remark="报销", total_amount=300,
        total_num=2, transfer_detail_list=items, transfer_scene_id="1000")
    good(f"{mark} batch", (code, json.loads(text)["batch_status"]) == (200, "ACCEPTED"), text)
    admin("clock", {"advance_seconds": 10})
    admin("clock", {"advance_seconds": 10})
    code, text = merchant.client.transfer_query_out_batch_no(f"{mark}B1", need_query_detail=True)
    asked = json.loads(text)
    ends = [item["detail_status"] for item in asked["transfer_detail_list"]]
    good(f"{mark} batch query", (asked["transfer_batch"]["batch_status"], ends)
         == ("FINISHED", ["SUCCESS", "FAIL"]), text)
    code, text = merchant.client.transfer_query_out_detail_no(f"{mark}D2", f"{mark}B1")
    good(f"{mark} batch item", json.loads(text)["fail_reason"] == "NAME_NOT_CORRECT", text)
    told = merchant.told(4)
    good(f"{mark} batch notification",
         told["event_type"] == "MCHTRANSFER.BATCH.FINISHED" and told["resource"]["fail_num"] == 1, told)


def what_goes_wrong(merchant, openid):
    # A probe, and a forged notification: their code refuses both, and the true one comes.
    for number, fault, count in (("W1", "notice_probe", 5), ("W2", "notice_forged", 7)):
        admin("faults", {"numbers": {number: {fault: 1}}})
        merchant.transfer(number, openid, 100)
        admin(f"transfers/{number}/confirm", {})
        good(f"{fault} is refused", not merchant.told(count), merchant.seen)
        told = merchant.told_later(count + 1)
        good(f"{fault}: the true one", told["resource"]["out_bill_no"] == number, told)
    admin("faults", {"numbers": {"W3": {"wrong_signature": 1}}})
    try:
        merchant.transfer("W3", openid, 100)
        good("a wrong answer raises", False)
    except Exception as error:
        good("a wrong answer raises", "verify the signature" in str(error), error)
    code, text = merchant.client.mch_transfer_bills_query(out_bill_no="W3")
    good("and yet it was accepted", json.loads(text)["state"] == "WAIT_USER_CONFIRM", text)
    # It sends null where it was told no address; WeChat refuses that.
    merchant.client._notify_url = None
    code, text = merchant.transfer("W4", openid, 100)
    good("null is refused", (code, text["code"]) == (400, "PARAM_ERROR"), text)
    merchant.client._notify_url = merchant.hook


def bills(merchant):
    day = admin("clock")["business_time"][:10]
    admin("clock", {"advance_seconds": 2 * 86400 - 1})
    code, text = merchant.client.fundflow_bill(day)
    if json.loads(text).get("code") == "STATEMENT_CREATING":
        admin("clock", {"advance_seconds": 43200})
        code, text = merchant.client.fundflow_bill(day)
    applied = json.loads(text)
    good("bill", code == 200 and applied["hash_type"] == "SHA1", text)
    code, packed = merchant.client.download_bill(applied["download_url"])
    plain = gzip.decompress(packed)
    good("bill file", hashlib.sha1(plain).hexdigest() == applied["hash_value"])
    rows = [line.split(",`") for line in plain.decode("utf-8-sig").split("\r\n")[1:]]
    vouchers = {row[10]: row[6] for row in rows if len(row) == 11}
    good("bill lines", (vouchers["cT1"], vouchers["kD1"]) == ("5.00", "1.00"), vouchers)


def main():
    alice = admin("users", {"name": "alice", "real_name": "王小王"})["openid"]
    for mode, mark in (("certificate", "c"), ("key", "k")):
        merchant = Merchant(mode)
        if mode == "certificate":
            serials = [f"{one.serial_number:040X}" for one in merchant.client._core._certificates]
            good("certificates", serials == [KNOWN["platform_serial"]], serials)
        transfers(merchant, alice, mark)
        batches(merchant, alice, mark)
    what_goes_wrong(merchant, alice)
    bills(merchant)


main()
