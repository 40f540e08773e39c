// The lives of an address and of orders through Twilio's own client for Node.js.
//
// LIBRARY is the package, GENERATION preview or v2, and COUNTERSIGN_URL the API. Two
// accounts' credentials are in the environment. Ends with 0 if all went well.
'use strict';

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');

const { LIBRARY, GENERATION, COUNTERSIGN_URL, ACCOUNT_SID, AUTH_TOKEN, OTHER_SID, OTHER_TOKEN } = process.env;
const twilio = require(LIBRARY);
const { version } = require(`${LIBRARY}/package.json`);
const preview = GENERATION === 'preview';

const sid = (letters) => letters + randomBytes(16).toString('hex');

// api is a client's resources, pointed at Countersign.
function api(account, token) {
  const client = twilio(account, token);
  for (const domain of [client.api, client.preview, client.numbers]) domain.baseUrl = COUNTERSIGN_URL;
  const orders = preview ? client.preview.hosted_numbers.hostedNumberOrders : client.numbers.v2.hostedNumberOrders;
  return { orders, addresses: client.addresses };
}

const { orders, addresses } = api(ACCOUNT_SID, AUTH_TOKEN);
const other = api(OTHER_SID, OTHER_TOKEN);

const place = (more) => ({
  customerName: 'Bayview Law LLP', street: '1 Market Street', streetSecondary: 'Suite 5', city: 'San Francisco', region: 'CA',
  postalCode: '94105', isoCountry: 'US', friendlyName: 'Office', ...more,
});

let next = 101;

const form = (more) => ({
  phoneNumber: `+14155550${next++}`, smsCapability: true, contactPhoneNumber: '+14155550100', email: 'owner@example.com',
  ccEmails: ['ops@example.com', 'legal@example.com'], friendlyName: 'Front desk', ...more,
});

// refused checks every field that a client reads from an error.
async function refused(promise, status, code) {
  const err = await promise.then(() => assert.fail(`got through, want ${status} and code ${code}`), (e) => e);
  assert.equal(err.status, status, `${err.stack}`);
  assert.equal(err.code, code, err.message);
  assert.equal(err.moreInfo, `https://www.twilio.com/docs/errors/${code}`);
  return err;
}

function aDate(d) {
  assert.ok(d instanceof Date && Math.abs(d.getTime() - Date.now()) < 600_000, `${d}`);
}

async function placed() {
  const one = await addresses.create(place());
  assert.match(one.sid, /^AD[0-9a-f]{32}$/);
  assert.equal(one.accountSid, ACCOUNT_SID);
  for (const key of ['customerName', 'street', 'streetSecondary', 'city', 'region', 'postalCode', 'isoCountry', 'friendlyName']) {
    assert.equal(one[key], place()[key], key);
  }
  aDate(one.dateCreated);
  aDate(one.dateUpdated);
  assert.equal(one.emergencyEnabled, false);
  assert.equal(one.validated, false);
  assert.equal(one.uri, `/2010-04-01/Accounts/${ACCOUNT_SID}/Addresses/${one.sid}.json`);
  const changed = await addresses(one.sid).update({ street: '2 Market Street', emergencyEnabled: true });
  assert.equal(changed.street, '2 Market Street');
  assert.equal(changed.emergencyEnabled, true);
  assert.equal((await addresses(one.sid).fetch()).street, '2 Market Street');

  const sids = [one.sid];
  for (const friendlyName of ['a', 'b', 'a', 'a']) sids.unshift((await addresses.create(place({ friendlyName, isoCountry: 'ca' }))).sid);
  const list = async (options) => (await addresses.list(options)).map((a) => a.sid);
  assert.deepEqual(await list(), sids);
  assert.deepEqual(await list({ pageSize: 2 }), sids);
  assert.deepEqual(await list({ limit: 3 }), sids.slice(0, 3));
  assert.deepEqual(await list({ friendlyName: 'a', isoCountry: 'CA', pageSize: 1 }), [sids[0], sids[1], sids[3]]);
  assert.deepEqual(await list({ customerName: 'Nobody' }), []);
  const page = await addresses.page({ pageSize: 2 });
  const second = await page.nextPage();
  assert.deepEqual(second.instances.map((a) => a.sid), sids.slice(2, 4));
  assert.deepEqual((await second.previousPage()).instances.map((a) => a.sid), sids.slice(0, 2));

  assert.equal(await addresses(sids[0]).remove(), true);
  await refused(addresses(sids[0]).fetch(), 404, 20404);
  assert.deepEqual(await list(), sids.slice(1));
  await refused(addresses.create(place({ isoCountry: 'USA' })), 400, 21628);
  await refused(addresses(sid('AD')).fetch(), 404, 20404);
  await refused(other.addresses(one.sid).fetch(), 404, 20404);
  await refused(other.addresses(one.sid).update({ city: 'Here' }), 404, 20404);
  await refused(other.addresses(one.sid).remove(), 404, 20404);
  assert.deepEqual(await other.addresses.list(), []);
  return one.sid;
}

async function ordered(addressSid) {
  const wanted = form({ addressSid, statusCallbackUrl: 'https://portal.example.com/orders', statusCallbackMethod: 'POST', ...(preview ? { uniqueName: 'desk' } : { contactTitle: 'Owner' }) });
  const one = await orders.create(wanted);
  assert.match(one.sid, /^HR[0-9a-f]{32}$/);
  assert.equal(one.accountSid, ACCOUNT_SID);
  for (const key of ['phoneNumber', 'email', 'friendlyName', 'addressSid']) assert.equal(one[key], wanted[key], key);
  assert.deepEqual(one.ccEmails, wanted.ccEmails);
  assert.equal(one.capabilities.sms, true);
  assert.equal(one.status, 'received');
  if (preview || orders(one.sid).update) { // older clients of v2 know nothing of verification
    assert.equal(one.verificationAttempts, 0);
    assert.equal(one.verificationType, 'phone-call');
  }
  if (preview) assert.equal(one.uniqueName, 'desk');
  else assert.equal(one.contactTitle, 'Owner');
  aDate(one.dateCreated);
  aDate(one.dateUpdated);
  assert.equal(one.url, `${COUNTERSIGN_URL}/${preview ? 'HostedNumbers/HostedNumberOrders' : 'v2/HostedNumber/Orders'}/${one.sid}`);
  const fetched = await orders(one.sid).fetch();
  assert.equal(fetched.phoneNumber, wanted.phoneNumber);
  return { sid: one.sid, phoneNumber: wanted.phoneNumber };
}

async function listed(addressSid, first) {
  const sids = [first.sid];
  for (const friendlyName of ['a', 'b', 'a', 'a']) sids.unshift((await orders.create(form({ addressSid, friendlyName }))).sid);
  const list = async (options) => (await orders.list(options)).map((o) => o.sid);
  assert.deepEqual(await list(), sids);
  assert.deepEqual(await list({ pageSize: 2 }), sids);
  assert.deepEqual(await list({ limit: 3 }), sids.slice(0, 3));
  assert.deepEqual(await list({ friendlyName: 'a', status: 'received', pageSize: 1 }), [sids[0], sids[1], sids[3]]);
  assert.deepEqual(await list({ phoneNumber: first.phoneNumber }), [first.sid]);
  assert.deepEqual(await list({ status: 'completed' }), []);
  if (preview) assert.deepEqual(await list({ uniqueName: 'desk' }), [first.sid]);
  const page = await orders.page({ pageSize: 2 });
  const second = await page.nextPage();
  assert.deepEqual(second.instances.map((o) => o.sid), sids.slice(2, 4));
  assert.deepEqual((await second.previousPage()).instances.map((o) => o.sid), sids.slice(0, 2));
  return sids;
}

// updated needs a client that can update: in v2 from 5.3.7 on.
async function updated(one) {
  const it = orders(one);
  if (!it.update) return;
  if (preview) {
    const changed = await it.update({ friendlyName: 'Reception', uniqueName: 'reception', email: 'new@example.com', ccEmails: ['new@example.com'], extension: '12#', callDelay: 5 });
    assert.equal(changed.friendlyName, 'Reception');
    assert.equal(changed.uniqueName, 'reception');
    assert.equal(changed.email, 'new@example.com');
    assert.deepEqual(changed.ccEmails, ['new@example.com']);
    assert.equal(changed.extension, '12#');
    assert.equal(changed.callDelay, 5);
    await refused(it.update({ verificationCode: '123456' }), 400, 22114);
    await refused(it.update({ verificationType: 'letter' }), 400, 22120);
  }
  await refused(it.update({ status: 'completed' }), 400, 22112);
  await refused(it.update({ status: 'done' }), 400, 22111);
  const asked = await it.update({ status: 'pending-verification', ...(preview ? {} : { verificationCallDelay: 10, verificationCallExtension: '7' }) });
  assert.equal(asked.status, 'pending-verification');
  if (!preview) assert.equal(asked.verificationCallDelay, 10);
}

async function wrong(addressSid, first) {
  await refused(orders.create(form({ addressSid, phoneNumber: 'PhoneNumber' })), 400, 22102);
  await refused(orders.create(form({ addressSid, phoneNumber: first.phoneNumber })), 400, 22110);
  await refused(orders.create(form({ addressSid, smsCapability: false })), 400, 22119);
  await refused(orders.create(form({ addressSid, email: 'Email' })), 400, 22104);
  await refused(orders.create(form({ addressSid: sid('AD') })), 400, 22109);
  await refused(orders.create(form({ addressSid, smsUrl: 'nowhere' })), 400, 22105);
  await refused(orders.list({ status: 'done' }), 400, 22111);
  await refused(orders(sid('HR')).fetch(), 404, 20404);
  await refused(other.orders(first.sid).fetch(), 404, 20404);
  await refused(other.orders(first.sid).remove(), 404, 20404);
  assert.deepEqual(await other.orders.list(), []);
}

async function life() {
  const addressSid = await placed();
  const one = await ordered(addressSid);
  const sids = await listed(addressSid, one);
  await updated(sids[1]);
  await wrong(addressSid, one);
  assert.equal(await orders(sids[0]).remove(), true);
  await refused(orders(sids[0]).fetch(), 404, 20404);
  console.log(`twilio ${version}, ${GENERATION}: whole lives`);
}

life().catch((err) => {
  console.error(err);
  process.exit(1);
});
