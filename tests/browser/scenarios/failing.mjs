// A webserver stops during a session: whoever is at work through the load balancer goes on.
import assert from 'node:assert/strict';
import { rows, search } from '../lib/browser.mjs';
import { eventually, tokenOf } from '../lib/cluster.mjs';

export const scenarios = {
    async a_webserver_that_stops_during_a_session_costs_nothing_that_was_typed(tabs, cluster) {
        // What was under way when it stopped may fail once.
        tabs.allow(/status of (40[14]|50[0-9])|ERR_|Failed to load/);
        const name = `FAILOVER_${Date.now()}`;
        const page = await tabs.login(cluster.loadbalancer, { hash: '#/macros' });
        const token = await tokenOf(page);
        const serving = async () => {
            const list = await page.evaluate(
                async (bearer) =>
                    (
                        await fetch('/api/webservers', {
                            headers: { Authorization: `Bearer ${bearer}` },
                        })
                    ).json(),
                token,
            );
            return list.find((one) => one.Self).ExternalAddr;
        };
        const first = await serving();
        const index = cluster.webservers.findIndex((url) => url.endsWith(first));
        const pid = cluster.pids[`webserver-${index}`];
        await page.getByRole('button', { name: 'New macro' }).click();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByLabel('Expansion').fill('grep half a thought');
        process.kill(pid, 'SIGSTOP');
        try {
            await eventually('it is saved by the other webserver', async () => {
                const save = page.getByRole('button', { name: 'Save', exact: true });
                await save.click({ timeout: 500 }).catch(() => undefined);
                return (await page.getByRole('dialog').count()) === 0;
            });
            await page.getByRole('list', { name: 'Macros' }).getByText(name).waitFor();
            assert.notEqual(await serving(), first);
            await page.evaluate(() => (location.hash = '#/search'));
            await search(page, 'tag=gravwell limit 3');
            await rows(page).first().waitFor();
        } finally {
            process.kill(pid, 'SIGCONT');
        }
        const made = JSON.parse(
            await cluster.call(cluster.webservers[1 - index], 'GET', '/api/macros', token),
        ).find((one) => one.Name === name);
        // Back again, it has what was made while it was away.
        await eventually('the macro on the one that was away', async () =>
            (await cluster.call(cluster.webservers[index], 'GET', '/api/macros', token)).includes(
                name,
            ),
        );
        await cluster.call(cluster.webservers[index], 'DELETE', `/api/macros/${made.ID}`, token);
    },
};
