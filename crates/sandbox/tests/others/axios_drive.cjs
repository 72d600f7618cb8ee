// Drives the sandbox with `wechatpay-axios-plugin` from npm, API v2 and v3. Prints a line for each
// thing that was seen; fails with the first one that is not as it should be.
'use strict';
require('./redirect.cjs');

const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const zlib = require('node:zlib');
const { Wechatpay, Rsa, Aes, Hash, Formatter } = require('wechatpay-axios-plugin');

const files = (name) => fs.readFileSync(path.join(process.env.SANDBOX_FILES, name));
const known = JSON.parse(files('credentials.json'));
const privateKey = Rsa.from(files('apiclient_key.pem'), Rsa.KEY_TYPE_PRIVATE);
const certs = {
  [known.platform_serial]: Rsa.from(files('platform_cert.pem'), Rsa.KEY_TYPE_PUBLIC),
  [known.public_key_id]: Rsa.from(files('pub_key.pem'), Rsa.KEY_TYPE_PUBLIC),
};
const merchant = { cert: files('apiclient_cert.pem'), key: files('apiclient_key.pem') };
const pay = new Wechatpay({ mchid: known.mchid, serial: known.merchant_serial, privateKey, certs,
  secret: known.v2_key, merchant });
const byKey = { headers: { 'Wechatpay-Serial': known.public_key_id } };
const bills = pay.v3.fundApp.mchTransfer.transferBills;

const good = (name, found, wanted) => {
  assert.deepStrictEqual(found, wanted, name);
  console.log(name);
};
const fails = (call) => call.then(() => assert.fail('it did not fail'), (error) => error);
const admin = async (name, body) => {
  const answer = await fetch(`${process.env.SANDBOX}/_sandbox/${name}`, body === undefined ? {}
    : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  return answer.json();
};
const order = (openid, number, fen, more) => ({
  appid: known.appid, out_bill_no: number, transfer_scene_id: '1000', openid,
  transfer_amount: fen, transfer_remark: '奖励 "a" <b>',
  transfer_scene_report_infos: [{ info_type: '活动名称', info_content: 'a' },
    { info_type: '奖励说明', info_content: 'b/c' }], ...more });

/** An address for notifications; their code verifies and decrypts. */
const listen = () => new Promise((resolve) => {
  const seen = [];
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const header = (name) => request.headers[`wechatpay-${name}`];
    const proved = Rsa.verify(Formatter.response(header('timestamp'), header('nonce'), body),
      header('signature'), certs[header('serial')]);
    if (proved) {
      const { resource: { ciphertext, nonce, associated_data: aad }, event_type: event } = JSON.parse(body);
      seen.push({ event, serial: header('serial'),
        ...JSON.parse(Aes.AesGcm.decrypt(ciphertext, known.apiv3_key, nonce, aad)) });
    }
    response.statusCode = proved ? 204 : 401;
    response.end();
  });
  server.unref();
  server.listen(0, '127.0.0.1', () => resolve({ seen, url: `http://127.0.0.1:${server.address().port}/hook` }));
});
const until = async (holds) => {
  for (let turn = 0; turn < 200 && !holds(); turn += 1) {
    await new Promise((next) => { setTimeout(next, 50); });
  }
  assert.ok(holds(), 'it did not come');
};

async function three(openid) {
  const { data: list } = await pay.v3.certificates.get();
  const sealed = list.data[0].encrypt_certificate;
  const pem = Aes.AesGcm.decrypt(sealed.ciphertext, known.apiv3_key, sealed.nonce, sealed.associated_data);
  good('certificates', pem, files('platform_cert.pem').toString());
  const hook = await listen();
  const named = (key) => Rsa.encrypt('王小王', certs[key]);
  const { data: made } = await bills.post(order(openid, 'A1', 500,
    { notify_url: hook.url, user_name: named(known.public_key_id) }), byKey);
  good('transfer', made.state, 'WAIT_USER_CONFIRM');
  await admin('transfers/A1/confirm', {});
  const { data: asked } = await bills.outBillNo.$out_bill_no$.get({ out_bill_no: 'A1' });
  good('query', [asked.state, asked.transfer_amount], ['SUCCESS', 500]);
  await until(() => hook.seen.length === 1);
  good('notification', [hook.seen[0].event, hook.seen[0].state, hook.seen[0].serial],
    ['MCHTRANSFER.BILL.FINISHED', 'SUCCESS', known.public_key_id]);
  const wrongKey = await fails(bills.post(order(openid, 'A2', 500,
    { user_name: named(known.platform_serial) }), byKey));
  good('sealed for the other key', [wrongKey.response.status, wrongKey.response.data.code], [400, 'PARAM_ERROR']);
  const unnamed = await fails(bills.post(order(openid, 'A2', 500, { user_name: named(known.public_key_id) })));
  good('no key is named', unnamed.response.data.message, '平台证书序列号Wechatpay-Serial错误');
  const strange = await fails(bills.post(order(openid, 'A2', 500, { new_field: 1 })));
  good('unknown field', [strange.response.status, strange.response.data.code], [400, 'PARAM_ERROR']);
  await bills.post(order(openid, 'A3', 100));
  const { data: ended } = await bills.outBillNo.$out_bill_no$.cancel.post({}, { out_bill_no: 'A3' });
  good('cancel', ended.state, 'CANCELING');
  const onlyKey = new Wechatpay({ mchid: known.mchid, serial: known.merchant_serial, privateKey,
    certs: { [known.public_key_id]: certs[known.public_key_id] } });
  const blind = await fails(onlyKey.v3.fundApp.mchTransfer.transferBills.outBillNo.$n$.get({ n: 'A1' }));
  good('a client with the public key alone must name it', blind.code, 'EV3_RES_HEADER_PLATFORM_SERIAL');
  await batch(openid, hook);
}

async function batch(openid, hook) {
  const item = (no, fen) => ({ out_detail_no: no, transfer_amount: fen, transfer_remark: '报销', openid });
  const { data: made } = await pay.v3.transfer.batches.post({ appid: known.appid, out_batch_no: 'AB1',
    batch_name: '2019年1月', batch_remark: '报销', total_amount: 105, total_num: 2, notify_url: hook.url,
    transfer_detail_list: [item('AD1', 100), item('AD2', 5)] });
  good('batch', made.batch_status, 'ACCEPTED');
  const early = await fails(pay.v3.transfer.batches.outBatchNo.$n$.details.outDetailNo.$d$.get({ n: 'AB1', d: 'AD1' }));
  good('an item too early', early.response.data.message, '请等待批次处理完成后再查询明细单据');
  await admin('clock', { advance_seconds: 10 });
  await admin('clock', { advance_seconds: 10 });
  const { data: asked } = await pay.v3.transfer.batches.outBatchNo.$n$.get({ n: 'AB1',
    params: { need_query_detail: true, detail_status: 'ALL', offset: 0, limit: 20 } });
  good('batch query', asked.transfer_detail_list.map((one) => one.detail_status), ['SUCCESS', 'FAIL']);
  const { data: detail } = await pay.v3.transfer.batches.outBatchNo.$n$.details.outDetailNo.$d$
    .get({ n: 'AB1', d: 'AD2' });
  good('batch item', detail.fail_reason, 'TRANSFER_QUOTA_EXCEED');
  await until(() => hook.seen.length === 2);
  good('batch notification', [hook.seen[1].event, hook.seen[1].success_num], ['MCHTRANSFER.BATCH.FINISHED', 1]);
}

async function two(openid) {
  const security = { security: true };
  const payment = { mch_appid: known.appid, mchid: known.mchid, partner_trade_no: 'V1', openid,
    check_name: 'FORCE_CHECK', re_user_name: '王小王', amount: 100, desc: '理赔 <&>', spbill_create_ip: '192.168.0.1' };
  const transfers = pay.v2.mmpaymkttransfers.promotion.transfers;
  const { data: paid } = await transfers.post(payment, security);
  good('v2 transfer', [paid.result_code, paid.partner_trade_no, paid.payment_no.length], ['SUCCESS', 'V1', 28]);
  const { data: again } = await transfers.post(payment, security);
  good('v2 same again', again.payment_no, paid.payment_no);
  const other = await fails(transfers.post({ ...payment, amount: 101 }, security));
  good('v2 other content', other.response.data.err_code, 'FATAL_ERROR');
  const { data: asked } = await pay.v2.mmpaymkttransfers.gettransferinfo.post({ appid: known.appid,
    mch_id: known.mchid, partner_trade_no: 'V1' }, security);
  good('v2 query', [asked.status, asked.payment_amount, asked.desc], ['SUCCESS', '100', '理赔 <&>']);
  const bare = await fails(transfers.post({ ...payment, partner_trade_no: 'V2' }));
  good('v2 without a certificate', bare.response.status, 400);
  const wrong = new Wechatpay({ mchid: known.mchid, serial: known.merchant_serial, privateKey, certs,
    secret: known.v2_key.split('').reverse().join(''), merchant });
  const unsigned = await fails(wrong.v2.mmpaymkttransfers.promotion.transfers.post(payment, security));
  good('v2 wrong signature', [unsigned.response.data.return_code, unsigned.response.data.return_msg], ['FAIL', '签名错误']);
  const { data: sent } = await pay.v2.mmpaymkttransfers.sendredpack.post({ mch_billno: 'P1', mch_id: known.mchid,
    wxappid: known.appid, send_name: '商户', re_openid: openid, total_amount: 100, total_num: 1, wishing: '恭喜',
    client_ip: '127.0.0.1', act_name: '活动', remark: '备注' }, security);
  good('v2 red packet', [sent.result_code, sent.mch_billno], ['SUCCESS', 'P1']);
  await admin('packets/P1/open', {});
  const { data: packet } = await pay.v2.mmpaymkttransfers.gethbinfo.post({ mch_billno: 'P1', mch_id: known.mchid,
    appid: known.appid, bill_type: 'MCHT' }, security);
  good('v2 red packet query', [packet.status, packet.hblist.hbinfo.amount], ['RECEIVED', '100']);
}

async function bill() {
  const day = (await admin('clock')).business_time.slice(0, 10);
  await admin('clock', { advance_seconds: 2 * 86400 - 1 });
  await admin('clock', { advance_seconds: 43200 });
  const { data: applied } = await pay.v3.bill.fundflowbill.get({ params: { bill_date: day, tar_type: 'GZIP' } });
  const params = Object.fromEntries(new URL(applied.download_url).searchParams);
  const { data: packed } = await pay.v3.billdownload.file.get({ params, responseType: 'arraybuffer' });
  const plain = zlib.gunzipSync(packed);
  good('bill file', Hash.sha1(plain), applied.hash_value);
  const { rows, summary } = Formatter.castCsvBill(plain);
  const vouchers = Object.fromEntries(rows.map((row) => [row['业务凭证号'], row['收支金额(元)']]));
  good('bill lines', [vouchers.A1, vouchers.V1, vouchers.P1, vouchers.AD1], ['5.00', '1.00', '1.00', '1.00']);
  good('bill totals', summary['支出笔数'], '4.0');
}

(async () => {
  const { openid } = await admin('users', { name: 'alice', real_name: '王小王' });
  await three(openid);
  await two(openid);
  await bill();
})().catch((error) => {
  console.error(error.response ? [error.message, error.response.status, error.response.data] : error);
  process.exit(1);
});
