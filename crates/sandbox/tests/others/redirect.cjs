// Leads WeChat's names to the sandbox: what a hosts file does, with a port of one's own. The client
// itself is as it was published, and proves the name by TLS.
'use strict';
const tls = require('node:tls');

const { connect } = tls;
tls.connect = (options, ...rest) => {
  const led = options.host === 'api.mch.weixin.qq.com'
    ? { ...options, host: '127.0.0.1', port: Number(process.env.SANDBOX_TLS_PORT), servername: options.host }
    : options;
  return connect(led, ...rest);
};
