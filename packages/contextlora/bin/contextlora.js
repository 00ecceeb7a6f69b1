#!/usr/bin/env node
// Installed, the command is what was built. In a clone it runs from source, so that nothing needs a build first.
import { register } from 'node:module';

try {
  if (import.meta.url.includes('/node_modules/')) await import('../dist/cli.js');
  else {
    const { register: registerTypeScript } = await import('tsx/esm/api');
    registerTypeScript();
    register(new URL('source-condition.js', import.meta.url));
    await import('../src/cli.ts');
  }
} catch (error) {
  // Files are resolved and read before any of the command's own code runs. Without file descriptors, Node finds no package.
  const isMissing = error.code === 'ERR_MODULE_NOT_FOUND';
  if (!isMissing && error.code !== 'EMFILE' && error.code !== 'ENFILE') throw error;
  const reason = isMissing
    ? 'is it installed whole (npm install), and may this process open enough files (ulimit -n 1024)?'
    : 'raise the limit of open files (ulimit -n 1024)';
  process.stderr.write(`contextlora cannot start: ${error.message.split('\n', 1)[0]}; ${reason}\n`);
  process.exitCode = 2;
}
