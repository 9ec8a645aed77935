// A person's browser: headless Chromium walks through a login and takes a picture of the page that
// asks for consent.
//
//   node browser.mjs URL UNTIL PICTURE [deny]
//
// Prints JSON: {title, text, scripts, framed, cookies, violations, end}, where `end` is the address
// that begins with UNTIL and where the browser ended.
// MXCP_CLIENTS names the folder that holds `node_modules`, MXCP_CHROMIUM the browser.

import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(`${process.env.MXCP_CLIENTS}/`);
const { chromium } = require('playwright-core');
const [url, until, picture, deny] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), 'mxcp-chromium-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.MXCP_CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  javaScriptEnabled: false,
  viewport: { width: 900, height: 760 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
try {
  const page = await context.newPage();
  const violations = [];
  page.on('console', (message) => message.type() === 'error' && violations.push(message.text()));
  await page.goto(url);
  await page.screenshot({ path: picture });
  const seen = {
    title: await page.title(),
    text: await page.locator('main').innerText(),
    scripts: await page.locator('script').count(),
    cookies: await context.cookies(),
  };
  // A page of somebody else cannot show it in a frame.
  const other = await context.newPage();
  await other.setContent(`<iframe src="${url.replaceAll('&', '&amp;')}"></iframe>`);
  await other.waitForTimeout(300);
  const frame = other.frames()[1];
  const framed = (await frame?.locator('main').count().catch(() => 0)) > 0;
  await page.locator(`button[value=${deny ?? 'allow'}]`).click();
  await page.waitForURL((address) => address.href.startsWith(until), { timeout: 20_000 });
  console.log(JSON.stringify({ ...seen, framed, violations, end: page.url() }));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
