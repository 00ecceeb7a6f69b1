/** A run as one HTML file that needs nothing else. */
import { createHash } from 'node:crypto';

import type { RunView } from './view/run-view.js';

export interface RenderPageOptions {
  /** Whether the process that serves the page sends what changes, at `events`. @default false */
  readonly isLive?: boolean;
  /** Whether it answers questions, at `ask`. @default false */
  readonly canAsk?: boolean;
}

/** Equal input gives equal bytes. The page loads nothing and, unless it is live, sends nothing. */
export async function renderPage(
  view: RunView,
  { isLive = false, canAsk = false }: RenderPageOptions = {},
): Promise<string> {
  const { script, style, planWorker } = await import('#page');
  const policy = [
    "default-src 'none'",
    `script-src '${digestOf(script)}' blob:`,
    'worker-src blob:',
    // The charts set their own.
    "style-src 'unsafe-inline'",
    'img-src data: blob:',
    isLive ? "connect-src 'self'" : "connect-src 'none'",
    "form-action 'none'",
    "base-uri 'none'",
  ].join('; ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(view.name)} – ContextLoRA</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<div id="app"></div>
<noscript>This page needs JavaScript.</noscript>
<script id="data" type="application/json">${escapeJson({ view, isLive, canAsk })}</script>
<script id="plan-worker" type="text/plain">${planWorker}</script>
<script>${script}</script>
</body>
</html>
`;
}

const digestOf = (script: string): string => `sha256-${createHash('sha256').update(script).digest('base64')}`;

/** No text of a run may end the element that holds it. */
const escapeJson = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
