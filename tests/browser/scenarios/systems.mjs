// The page "Systems": every part, the links, what is wrong and what to do.
import assert from 'node:assert/strict';
import { DESKTOP, PHONE } from '../lib/browser.mjs';

export const scenarios = {
    async the_systems_page_shows_every_part_and_link(tabs, cluster) {
        cluster.ingest('pictured', ['one', 'two']);
        for (const [index, webserver] of cluster.webservers.entries()) {
            const page = await tabs.login(webserver, { hash: '#/systems' });
            await page.getByRole('status').getByText('All is well').waitFor();
            const indexers = page.getByRole('region', { name: 'Indexers', exact: true });
            assert.equal(await indexers.locator('li').count(), cluster.indexers.length);
            const webservers = page.getByRole('region', { name: 'Webservers', exact: true });
            assert.equal(await webservers.locator('li').count(), cluster.webservers.length);
            assert.match(
                await webservers.locator('li').nth(index).innerText(),
                /answers this page/,
            );
            await page.getByRole('cell', { name: 'following' }).first().waitFor();
            await page.getByRole('button', { name: /^pictured/ }).waitFor();
        }
    },

    async rates_are_drawn_while_lines_arrive(tabs, cluster) {
        for (const [name, options] of [
            ['light', { scheme: 'light', viewport: DESKTOP }],
            ['dark', { scheme: 'dark', viewport: DESKTOP }],
            ['phone', { scheme: 'light', viewport: PHONE }],
        ]) {
            const page = await tabs.login(cluster.webservers[0], { hash: '#/systems', ...options });
            const rates = page.getByRole('region', { name: 'Ingest by tag' });
            await rates.getByText('Nothing has arrived').waitFor();
            cluster.ingest(
                'pictured',
                Array.from({ length: 500 }, (_, i) => `line ${i}`),
            );
            await rates.locator('canvas').waitFor();
            await page
                .getByRole('status')
                .filter({ hasText: /All is well|attention/ })
                .waitFor();
            await tabs.shot(page, `${name}-systems`);
            await page.getByRole('region', { name: 'Wells', exact: true }).scrollIntoViewIfNeeded();
            await tabs.shot(page, `${name}-systems-below`);
            const wide = await page.evaluate(
                () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
            );
            assert.equal(wide, 0, 'the page is not wider than the window');
        }
    },

    async an_indexer_that_is_away_is_said_with_what_to_do(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0], { hash: '#/systems' });
        await page.getByRole('status').getByText('All is well').waitFor();
        let away = true;
        await page.route('**/api/cluster/indexers/1', async (route) => {
            const response = await route.fetch();
            const { Address } = await response.json();
            const json = { Address, Up: false, Error: '<b>connection refused</b>' };
            await (away ? route.fulfill({ response, json }) : route.fulfill({ response }));
        });
        const troubles = page.getByRole('list', { name: 'What needs attention' });
        await troubles.getByText('<b>connection refused</b>').waitFor();
        await troubles.getByText('Start it:').waitFor();
        await tabs.shot(page, 'systems-away');
        away = false;
        await page.getByRole('status').getByText('All is well').waitFor();
    },
};
