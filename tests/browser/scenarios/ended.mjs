// A session that ends while a search runs.
import assert from 'node:assert/strict';
import { choose, finished, logIn, typed, write } from '../lib/browser.mjs';
import { tokenOf } from '../lib/cluster.mjs';

export const scenarios = {
    async a_session_that_ends_while_a_search_runs_ends_nothing_else(tabs, cluster) {
        tabs.allow(/status of 401/);
        const tag = `ended${process.pid}`;
        cluster.ingest(tag, ['one', 'two', 'three']);
        const page = await tabs.loginAnew(cluster.webservers[0]);
        let launched = 0;
        let running = true;
        page.on('request', (request) => {
            launched += request.url().endsWith('/api/searchctrl/launch') ? 1 : 0;
        });
        // It is told to run until this scenario says that it has ended.
        await page.route('**/stats?*', async (route) => {
            const response = await route.fetch();
            const json = await response.json();
            const held = running && response.ok() ? { ...json, Finished: false } : json;
            // A question that the page has taken back needs no answer.
            await route.fulfill({ response, json: held }).catch(() => undefined);
        });
        await choose(page, 'All time');
        await write(page, `tag=${tag}`);
        await page.keyboard.press('Control+Enter');
        await page.getByRole('button', { name: 'Cancel' }).waitFor();
        await write(page, `tag=${tag} grep "half a thou`);
        await cluster.call(cluster.webservers[1], 'PUT', '/api/logout', await tokenOf(page));
        const again = page.getByRole('dialog', { name: 'Log in again' });
        await again.getByText('Your session has ended.').waitFor();
        await again.locator('input[name=password]:focus').waitFor();
        await logIn(page);
        await again.waitFor({ state: 'detached' });
        await page.locator('[aria-label=Query]:focus').waitFor(); /* where it was typed */
        await page.getByRole('button', { name: 'Cancel' }).waitFor();
        running = false;
        await finished(page);
        await page.getByText('3 entries in').waitFor();
        assert.equal(await typed(page), `tag=${tag} grep "half a thou`);
        assert.equal(launched, 1, 'the same search goes on');
    },
};
