// Sends what the twilio library would send to api.twilio.com,
// preview.twilio.com and numbers.twilio.com to COUNTERSIGN_URL, so that scripts run as they are:
//
//   COUNTERSIGN_URL=http://127.0.0.1:8080 node -r ./redirect.cjs script.js
'use strict';

const { RequestClient } = require('twilio');

const origin = new URL(process.env.COUNTERSIGN_URL).origin;
const send = RequestClient.prototype.request;

RequestClient.prototype.request = function request(options) {
  const uri = options.uri.replace(/^https:\/\/(api|preview|numbers)\.twilio\.com(?=\/)/, origin);
  return send.call(this, { ...options, uri });
};
