// What is kept: dashboards, on all webservers; and what is said when the datastore is away.
import assert from 'node:assert/strict';
import { finished, rows, search } from '../lib/browser.mjs';
import { tokenOf } from '../lib/cluster.mjs';

export const scenarios = {
    async a_dashboard_made_here_is_there(tabs, cluster) {
        const name = `Logins ${Date.now()}`;
        const there = await tabs.login(cluster.webservers[1], { hash: '#/dashboards' });
        await there.getByRole('heading', { name: 'Dashboards' }).waitFor();
        const here = await tabs.login(cluster.webservers[0]);
        await search(here, 'tag=gravwell');
        await here.getByRole('button', { name: 'Dashboard', exact: true }).click();
        const dialog = here.getByRole('dialog', { name: 'Keep this query on a dashboard' });
        await dialog.getByLabel('Its name').fill(name);
        await dialog.getByRole('button', { name: 'Add', exact: true }).click();
        await here.getByRole('heading', { name, level: 1 }).waitFor();
        await here.locator('ol li .data').first().waitFor();

        // The list there follows by itself, and the dashboard shows the same.
        await there.getByRole('link', { name }).click();
        await there.locator('ol li .data').first().waitFor();
        await there.getByRole('link', { name: 'Dashboards' }).click();
        await there.getByRole('button', { name: `Delete ${name}` }).click();
        await there
            .getByRole('dialog')
            .getByRole('button', { name: 'Delete', exact: true })
            .click();
        await there.getByText(`“${name}” has been deleted.`).waitFor();
        await here.getByRole('link', { name: 'Dashboards' }).click();
        await here.getByRole('heading', { name: 'Dashboards', level: 1 }).waitFor();
        await here.getByRole('link', { name }).waitFor({ state: 'detached' });
    },

    async a_dashboard_of_another_program_is_shown_decently(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        const bodies = [
            {},
            {
                searches: [{ alias: '<b>x</b>', query: 'tag=gravwell limit 2', searchID: 7 }],
                tiles: [],
                version: 1,
            },
            { searches: 'none', tiles: [{ searchesIndex: 99 }], timeframe: { timeframe: 'PT1H' } },
        ];
        for (const [index, Data] of bodies.entries()) {
            const id = await cluster.call(cluster.webservers[0], 'POST', '/api/dashboards', token, {
                Name: `<img src=x onerror=alert(1)> ${index}`,
                Description: '',
                Data,
                UID: 0,
                GIDs: null,
                Global: false,
            });
            await page.goto(`${cluster.webservers[0]}/#/dashboards/${id.trim()}`);
            await page
                .getByRole('heading', { name: `<img src=x onerror=alert(1)> ${index}`, level: 1 })
                .waitFor();
            if (index === 1) {
                await page.locator('ol li .data').nth(1).waitFor();
            } else {
                await page.getByText('has no tiles that this page can show').waitFor();
            }
            await cluster.call(
                cluster.webservers[0],
                'DELETE',
                `/api/dashboards/${id.trim()}`,
                token,
            );
        }
    },

    async results_can_be_downloaded(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, 'tag=gravwell limit 5');
        await rows(page).first().waitFor();
        await page.getByRole('button', { name: 'Download' }).click();
        const coming = page.waitForEvent('download');
        await page.getByRole('button', { name: 'CSV' }).click();
        const download = await coming;
        assert.match(download.suggestedFilename(), /^aquifer-\d+\.csv$/);
        let text = '';
        for await (const chunk of await download.createReadStream()) {
            text += chunk;
        }
        assert.match(text, /^Timestamp,Source,Tag,Data\r?\n/);
        assert.ok(text.trimEnd().split(/\r?\n(?=\d{4}-)/).length >= 6);
    },

    async a_datastore_that_is_away_is_said_and_searching_goes_on(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const Datastore = {
            State: 'offline',
            Degraded: true,
            Address: '192.0.2.1:9405',
            Reason: 'connection refused',
            Unsynced: 2,
        };
        let away = true;
        await page.route('**/api/settings', async (route) => {
            const response = await route.fetch();
            const settings = await response.json();
            assert.equal(
                typeof settings.Datastore.Degraded,
                'boolean',
                'the server says how the datastore is doing',
            );
            await route.fulfill({ response, json: away ? { ...settings, Datastore } : settings });
        });
        await page.reload();
        await page.getByText('Degraded:').waitFor();
        await tabs.shot(page, 'degraded');
        await search(page, 'tag=gravwell');
        away = false;
        await page.getByText('Degraded:').waitFor({ state: 'detached' });
    },

    async a_webserver_that_is_gone_is_said_and_nothing_is_lost(tabs, cluster) {
        tabs.allow(/net::ERR_/);
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, 'tag=gravwell');
        await rows(page).first().waitFor();
        await page.context().setOffline(true);
        await page.getByText('The webserver does not answer.').waitFor();
        assert.ok((await rows(page).count()) > 0, 'the rows that are here stay readable');
        await page.context().setOffline(false);
        await page.getByText('The webserver does not answer.').waitFor({ state: 'detached' });
        await page.getByRole('button', { name: 'Search', exact: true }).click();
        await finished(page);
    },
};
