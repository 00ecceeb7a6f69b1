/**
 * Uses the dashboard as a person would, in a headless Chromium: looks, clicks, types, asks, checks accessibility, and takes pictures.
 * Needs Chromium (`apt-get install chromium`, or --browser FILE) and the directory of a run; plans again if a plan with workloads is
 * given, and asks if a picture is. Nothing but loopback is reached.
 * Usage: npm run check:dashboard -- --run DIRECTORY [--plan FILE] [--picture FILE] [--browser FILE] [--pictures DIRECTORY] [--json FILE]
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { checkPage, openChecks, withServedPage } from './headless-browser.mjs';

const { values } = parseArgs({
  options: {
    run: { type: 'string' },
    plan: { type: 'string' },
    picture: { type: 'string' },
    browser: { type: 'string' },
    pictures: { type: 'string' },
    json: { type: 'string' },
  },
});
if (values.run === undefined) {
  console.error('check-dashboard: give the directory of a run with --run ("npm run demo" makes one)');
  process.exit(2);
}
const { check, end } = openChecks();
await withServedPage(
  [
    ...['--conditions', '@contextlora/source', '--import', 'tsx'],
    'packages/contextlora/src/cli.ts',
    'dashboard',
    resolve(values.run),
    ...(values.plan === undefined ? [] : ['--plan', resolve(values.plan)]),
  ],
  { cwd: join(import.meta.dirname, '..'), executablePath: values.browser },
  look,
);
await end(values.json);

async function look(browser, address) {
  for (const [name, options] of Object.entries({
    light: { viewport: { width: 1280, height: 900 }, colorScheme: 'light' },
    dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
    narrow: { viewport: { width: 360, height: 740 }, colorScheme: 'light' },
  })) {
    // axe is not of the page; the page's own policy is looked at below.
    const context = await browser.newContext({ ...options, bypassCSP: true });
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', ({ message }) => errors.push(message));
    page.on(
      'console',
      (message) =>
        message.type() === 'error' && !/status of 422/.test(message.text()) && errors.push(message.text()),
    );
    await page.goto(address);
    await checkPage(page, name, check);
    if (name === 'light') await use(page);
    check(`${name}: no error in the console`, errors.length === 0, errors.join('; '));
    if (values.pictures !== undefined) {
      await mkdir(values.pictures, { recursive: true });
      await page.screenshot({ path: join(values.pictures, `dashboard-${name}.png`), fullPage: true });
    }
    await context.close();
  }
  const context = await browser.newContext();
  const page = await context.newPage();
  const refused = [];
  page.on(
    'console',
    (message) => message.text().includes('Content Security Policy') && refused.push(message.text()),
  );
  await page.goto(address);
  await page.getByRole('heading', { level: 1 }).waitFor();
  check('the page keeps its own policy', refused.length === 0, refused.join('; '));
  if (values.plan !== undefined) await planAgain(page, 'with its policy');
  await context.close();
}

async function use(page) {
  const node = page.locator('.node').first();
  await node.focus();
  await page.keyboard.press('Enter');
  const name = (await node.locator('text').first().textContent()).trim();
  check('the keyboard chooses a task', await page.getByRole('heading', { name: `Task ${name}` }).isVisible());
  const phase = page.getByRole('radio').first();
  await phase.check();
  const drawing = await page.getByRole('img', { name: /^While/ }).getAttribute('aria-label');
  check('a phase shows its roles', /trained/.test(drawing) && /masked/.test(drawing), drawing);
  if (values.plan !== undefined) {
    await planAgain(page, 'by the keyboard');
    const input = page.getByLabel('Changes');
    await input.fill('drop nobody');
    await page.keyboard.press('Enter');
    const alert = page.getByRole('alert');
    await alert.waitFor();
    check('a change that makes no sense is refused', /no device/.test(await alert.textContent()));
  }
  const question = await page.getByRole('button', { name: 'Ask' }).isVisible();
  check('there is a place to ask', question);
  await page.getByLabel('Text').fill('limit 50 .');
  await page.getByRole('button', { name: 'Ask' }).click();
  const refusal = page.getByRole('region', { name: 'Ask' }).getByRole('alert');
  await refusal.waitFor({ timeout: 60_000 });
  const reason = await refusal.textContent();
  check('a question without its picture is refused with the reason', /takes an image/.test(reason), reason);
  await page.getByLabel('Picture').setInputFiles(values.picture ?? []);
  if (values.picture === undefined) return;
  await page.getByRole('button', { name: 'Ask' }).click();
  await refusal.waitFor({ state: 'detached', timeout: 60_000 });
  const answers = await page.locator('.node').allTextContents();
  check(
    'a question is answered in the graph',
    answers.every((text) => /→/.test(text)),
    answers.join(' | '),
  );
}

async function planAgain(page, how) {
  await page.getByLabel('Changes').fill('links=5Mbit');
  await page.keyboard.press('Enter');
  const told = page.getByText(/times as long/);
  await told.waitFor({ timeout: 120_000 });
  check(`plans again in the page, ${how}`, true, (await told.textContent()).trim());
}
