// The page "Systems": every part, the links, what is wrong and what to do.
import assert from 'node:assert/strict';
import { DESKTOP, logIn, PHONE } from '../lib/browser.mjs';
import { eventually, tokenOf } from '../lib/cluster.mjs';

/** So many of them are there, a moment later at most. */
function count(what, locator, wanted) {
    return eventually(`${wanted} ${what}`, async () => (await locator.count()) === wanted);
}

export const scenarios = {
    async the_systems_page_shows_every_part_and_link(tabs, cluster) {
        // The greatest tags are shown: those of other scenarios are smaller, but for a few.
        const lines = Array.from({ length: 3000 }, (_, i) => `line ${i}`);
        cluster.ingest('pictured', lines);
        for (const webserver of cluster.webservers) {
            const page = await tabs.login(webserver, { hash: '#/systems' });
            await page.getByRole('status').getByText('All is well').waitFor();
            const indexers = page.getByRole('region', { name: 'Indexers', exact: true });
            await count('indexers', indexers.locator('li'), cluster.indexers.length);
            const webservers = page.getByRole('region', { name: 'Webservers', exact: true });
            await count('webservers', webservers.locator('li'), cluster.webservers.length);
            await webservers
                .locator('li')
                .filter({ hasText: new URL(webserver).host })
                .getByText('answers this page')
                .waitFor();
            await page.getByRole('cell', { name: 'following' }).first().waitFor();
            const drawing = page.getByRole('region', { name: 'Drawing of the cluster' });
            const parts = cluster.webservers.length + cluster.indexers.length;
            await drawing.getByRole('img', { name: '1 datastore, 2 webservers' }).waitFor();
            await count('parts', drawing.locator('rect'), parts + 1);
            await count('links', drawing.locator('.arc'), cluster.indexers.length);
            await page.getByRole('button', { name: /^pictured/ }).waitFor();

            // What is chosen above is bold, and nothing beside it moves.
            const link = (name) => page.getByRole('navigation').getByRole('link', { name });
            const before = await link('Systems').boundingBox();
            await page.evaluate(() => (location.hash = '#/history'));
            await page.locator('nav a[aria-current][aria-label=History]').waitFor();
            assert.deepEqual(await link('Systems').boundingBox(), before);
        }
    },

    async rates_are_drawn_while_lines_arrive(tabs, cluster) {
        for (const [name, options] of [
            ['light', { scheme: 'light', viewport: DESKTOP }],
            ['dark', { scheme: 'dark', viewport: DESKTOP }],
            ['phone', { scheme: 'light', viewport: PHONE }],
        ]) {
            const page = await tabs.login(cluster.webservers[0], options);
            let looks = 0;
            let go;
            const read = new Promise((resolve) => (go = resolve));
            await page.route('**/api/cluster', async (route) => {
                await (++looks > 1 && read); /* the daemons' own lines may arrive at any time */
                await route.fallback();
            });
            await page.evaluate(() => (location.hash = '#/systems'));
            const rates = page.getByRole('region', { name: 'Ingest by tag' });
            await rates.getByText('Nothing has arrived').waitFor();
            cluster.ingest(
                'pictured',
                Array.from({ length: 500 }, (_, i) => `line ${i}`),
            );
            go();
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

    async an_administrator_tells_everybody_and_each_dismisses_it_for_himself(tabs, cluster) {
        const text = `<b>maintenance</b> ${Date.now()}`;
        const login = `reader${Date.now()}`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/systems' });
        const token = await tokenOf(page);
        await cluster.call(cluster.webservers[0], 'POST', '/api/users', token, {
            User: login,
            Pass: 'pw',
            Name: login,
            Email: '',
            Admin: false,
        });
        await cluster.knows(cluster.webservers[1], login);
        const there = await tabs.open(cluster.webservers[1]);
        await logIn(there, login, 'pw');
        const bell = (on) => on.getByRole('button', { name: /notification/i });
        await page.getByLabel('Tell everybody').fill(text);
        await page.getByLabel('How serious').selectOption('Warning');
        await page.getByRole('button', { name: 'Send', exact: true }).click();
        await there.getByRole('button', { name: /^\d+ notifications?$/ }).waitFor();
        await bell(there).first().click();
        await there.getByText(text).waitFor();
        await tabs.shot(there, 'notifications');
        assert.equal(await there.getByRole('button', { name: /^Take back/ }).count(), 0);
        // The server hears of it only after the reload, which must not bring it back.
        await there.route('**/preferences', () => undefined);
        await there.getByRole('button', { name: `Dismiss: ${text}` }).click();
        await there.getByText(text).waitFor({ state: 'detached' });
        await there.unroute('**/preferences');
        const kept = there.waitForResponse(
            (one) => one.request().method() === 'PUT' && one.url().endsWith('/preferences'),
        );
        await there.reload();
        await there.getByRole('heading', { name: 'How to ask' }).waitFor();
        await kept;
        await eventually('kept by the server, and no longer here', () =>
            there.evaluate(
                () =>
                    !Object.keys(localStorage).some((key) => key.startsWith('aquifer.dismissing')),
            ),
        );

        // The others still have it, until it is taken back.
        const notifications = page.getByRole('region', { name: 'Notifications', exact: true });
        await notifications.getByText(text).waitFor();
        assert.equal(await there.getByRole('button', { name: /^\d+ notif/ }).count(), 0);
        await notifications
            .getByRole('button', { name: `Take back for everybody: ${text}` })
            .click();
        await notifications.getByText(text).waitFor({ state: 'detached' });
    },
};
