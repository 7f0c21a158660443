import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { serveStatic } from '@hono/node-server/serve-static';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { html } from 'hono/html';
import { version } from '../version.ts';
import type { AppEnv } from './env.ts';
import { pageHeaders } from './page-headers.ts';

/** `/openapi.json` (3.1) and `/docs`, which shows it without asking any other host. */
export function addDocs(app: OpenAPIHono<AppEnv>): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'A token of scope operator, agent or session.',
  });
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'Defib',
      version: version(),
      description:
        'Heartbeats, checkpoints and resume for coding agents. Errors are application/problem+json ' +
        '(RFC 9457) with a stable `code`.',
      license: { name: 'MIT' },
    },
    servers: [{ url: '/' }],
    // In the order in which /docs shows them.
    tags: [
      'Heartbeat',
      'Runs',
      'Sessions',
      'Checkpoints',
      'Agents',
      'Repositories',
      'Tokens',
      'Audit',
      'Operations',
    ].map((name) => ({ name })),
  });
  app.use('/docs', pageHeaders);
  app.get('/docs', (c) => c.html(page));
  app.get('/docs/start.js', (c) => c.body(script, 200, { 'Content-Type': 'text/javascript' }));
  const assets = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  // These alone: the package also has a page of its own, which loads from elsewhere.
  for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']) {
    app.get(
      `/docs/assets/${file}`,
      serveStatic({ root: assets, rewriteRequestPath: () => `/${file}` }),
    );
  }
}

const page = html`<!doctype html>
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <title>Defib API</title>
      <link rel="stylesheet" href="/docs/assets/swagger-ui.css" />
      <link rel="icon" href="/docs/assets/favicon-32x32.png" />
    </head>
    <body>
      <div id="docs"></div>
      <script src="/docs/assets/swagger-ui-bundle.js"></script>
      <script src="/docs/start.js"></script>
    </body>
  </html>`;

// Without `validatorUrl: null` it has the document judged by a server of its makers.
const script = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  validatorUrl: null,
});
`;
