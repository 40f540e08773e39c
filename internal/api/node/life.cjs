// A document's life through Twilio's own client for Node.js.
//
// LIBRARY is the package, GENERATION preview or v2, COUNTERSIGN_URL the API,
// and CONTROL an address where POST /sign/PX… has a document signed. Two
// accounts' credentials are in the environment. Ends with 0 where all went well.
'use strict';

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');

const { LIBRARY, GENERATION, COUNTERSIGN_URL, CONTROL, ACCOUNT_SID, AUTH_TOKEN, OTHER_SID, OTHER_TOKEN } = process.env;
const twilio = require(LIBRARY);
const { version } = require(`${LIBRARY}/package.json`);
const preview = GENERATION === 'preview';

const sid = (letters) => letters + randomBytes(16).toString('hex');

// documents is a client's resource, pointed at Countersign.
function documents(account, token) {
  const client = twilio(account, token);
  for (const domain of [client.preview, client.numbers]) domain.baseUrl = COUNTERSIGN_URL;
  return preview ? client.preview.hosted_numbers.authorizationDocuments : client.numbers.v2.authorizationDocuments;
}

const api = documents(ACCOUNT_SID, AUTH_TOKEN);

const form = (more) => ({
  hostedNumberOrderSids: [sid('HR'), sid('HR')],
  addressSid: sid('AD'),
  email: 'test+hosted@example.com',
  contactTitle: 'Owner',
  contactPhoneNumber: '+14155550100',
  ccEmails: ['ops@example.com', 'legal@example.com'],
  ...more,
});

// refused checks every field that a client reads from an error.
async function refused(promise, status, code) {
  const err = await promise.then(() => assert.fail(`got through, want ${status} and code ${code}`), (e) => e);
  assert.equal(err.status, status, `${err.stack}`);
  assert.equal(err.code, code, err.message);
  assert.equal(err.moreInfo, `https://www.twilio.com/docs/errors/${code}`);
  assert.ok(err.message.length > 10, err.message);
  assert.equal(err.constructor.name, 'RestException');
  return err;
}

async function created() {
  const wanted = form();
  const doc = await api.create(wanted);
  assert.match(doc.sid, /^PX[0-9a-f]{32}$/);
  assert.equal(doc.addressSid, wanted.addressSid);
  assert.equal(doc.status, 'signing');
  assert.equal(doc.email, wanted.email);
  assert.deepEqual(doc.ccEmails, wanted.ccEmails);
  assert.ok(doc.dateCreated instanceof Date && !Number.isNaN(doc.dateCreated.getTime()), `${doc.dateCreated}`);
  assert.ok(doc.dateUpdated instanceof Date && !Number.isNaN(doc.dateUpdated.getTime()), `${doc.dateUpdated}`);
  const path = preview ? '/HostedNumbers/AuthorizationDocuments/' : '/v2/HostedNumber/AuthorizationDocuments/';
  assert.equal(doc.url, COUNTERSIGN_URL + path + doc.sid);
  assert.equal(doc.links.dependent_hosted_number_orders, `${doc.url}/DependentHostedNumberOrders`);
  const fetched = await api(doc.sid).fetch();
  assert.equal(fetched.sid, doc.sid);
  assert.equal(fetched.email, wanted.email);
  return { sid: doc.sid, orders: wanted.hostedNumberOrderSids };
}

async function lists(first) {
  const sids = [first];
  for (const email of ['a@example.com', 'b@example.com', 'a@example.com', 'a@example.com']) {
    sids.unshift((await api.create(form({ email }))).sid);
  }
  const list = async (options) => (await api.list(options)).map((d) => d.sid);
  assert.deepEqual(await list(), sids);
  assert.deepEqual(await list({ pageSize: 2 }), sids);
  assert.deepEqual(await list({ limit: 3 }), sids.slice(0, 3));
  assert.deepEqual(await list({ limit: 5000 }), sids);
  assert.deepEqual(await list({ pageSize: 1, limit: 2 }), sids.slice(0, 2));
  assert.deepEqual(await list({ email: 'test+hosted@example.com' }), [first]);
  assert.deepEqual(await list({ email: 'a@example.com', status: 'signing', pageSize: 1 }), [sids[0], sids[1], sids[3]]);
  assert.deepEqual(await list({ status: 'signed' }), []);
  await refused(api.list({ status: 'done' }), 400, 20001);

  const seen = [];
  await new Promise((resolve, reject) => {
    api.each({ pageSize: 2, callback: (d) => seen.push(d.sid), done: (err) => (err ? reject(err) : resolve()) });
  });
  assert.deepEqual(seen, sids);

  const page = await api.page({ pageSize: 2 });
  const next = await page.nextPage();
  assert.deepEqual(next.instances.map((d) => d.sid), sids.slice(2, 4));
  assert.deepEqual((await next.previousPage()).instances.map((d) => d.sid), sids.slice(0, 2));
  assert.deepEqual((await api.getPage(page.nextPageUrl)).instances.map((d) => d.sid), sids.slice(2, 4));
  return sids;
}

async function dependents(doc) {
  const orders = api(doc.sid).dependentHostedNumberOrders;
  const list = await orders.list();
  assert.deepEqual(list.map((o) => o.sid), doc.orders);
  for (const order of list) {
    assert.equal(order.status, 'pending-loa');
    assert.equal(order.signingDocumentSid, doc.sid);
    assert.equal(order.accountSid, ACCOUNT_SID);
    assert.ok(order.dateCreated instanceof Date);
    if (preview) assert.equal(order.callDelay, 0);
    else assert.equal(order.contactTitle, 'Owner');
  }
  assert.deepEqual((await orders.list({ pageSize: 1 })).map((o) => o.sid), doc.orders);
  assert.deepEqual(await orders.list({ status: 'completed' }), []);
  assert.equal((await orders.list({ status: 'pending-loa', limit: 1 })).length, 1);
}

async function updates(doc) {
  const it = api(doc.sid);
  await refused(it.update({ email: 'other@example.com' }), 400, 22107);
  await refused(it.update({ status: 'signed' }), 400, 22122);
  assert.equal((await it.update({ status: 'opened' })).status, 'opened');
  await refused(it.update({ email: 'Email' }), 400, 22104);
  await refused(it.update({ addressSid: 'AddressSid' }), 400, 22109);
  const changed = await it.update({ email: 'other@example.com', ccEmails: ['new@example.com'] });
  assert.equal(changed.email, 'other@example.com');
  assert.deepEqual(changed.ccEmails, ['new@example.com']);
  assert.equal(changed.status, 'opened');
  assert.equal((await it.update({ status: 'signing' })).status, 'signing');
}

async function signed(doc) {
  const done = await fetch(`${CONTROL}/sign/${doc.sid}`, { method: 'POST' });
  assert.equal(done.status, 204);
  const it = api(doc.sid);
  assert.equal((await it.fetch()).status, 'signed');
  const orders = await it.dependentHostedNumberOrders.list({ status: 'carrier-processing' });
  assert.deepEqual(orders.map((o) => o.sid), doc.orders);
  if (preview) await refused(it.update({ status: 'opened' }), 400, 22107);
  else await refused(it.remove(), 400, 22107);
}

async function canceled(one) {
  assert.equal(await api(one).remove(), true);
  assert.equal((await api(one).fetch()).status, 'canceled');
}

async function errors(doc) {
  const missing = sid('PX');
  const path = preview ? '/HostedNumbers/AuthorizationDocuments/' : '/v2/HostedNumber/AuthorizationDocuments/';
  const err = await refused(api(missing).fetch(), 404, 20404);
  assert.equal(err.message, `The requested resource ${path}${missing} was not found`);
  await refused(api.create(form({ email: 'Email' })), 400, 22104);
  await refused(api.create(form({ hostedNumberOrderSids: ['HostedNumberOrderSids'] })), 400, 22101);
  await refused(api.create(form({ contactPhoneNumber: 'ContactPhoneNumber' })), 400, 22102);
  await refused(api.create(form({ hostedNumberOrderSids: [] })), 400, 20001);
  await refused(documents(ACCOUNT_SID, 'x'.repeat(32)).list(), 401, 20003);
  const other = documents(OTHER_SID, OTHER_TOKEN);
  await refused(other(doc.sid).fetch(), 404, 20404);
  assert.deepEqual(await other.list(), []);
}

async function life() {
  const doc = await created();
  await dependents(doc);
  const sids = await lists(doc.sid);
  if (preview) await updates(doc);
  await signed(doc);
  if (!preview) await canceled(sids[0]);
  await errors(doc);
  console.log(`twilio ${version}, ${GENERATION}: a whole life`);
}

life().catch((err) => {
  console.error(err);
  process.exit(1);
});
