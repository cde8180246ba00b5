// Dashboards on which several values are chosen at a time, and tiles that are there for each.
import assert from 'node:assert/strict';
import { findings } from '../lib/axe.mjs';
import { eventually, tokenOf } from '../lib/cluster.mjs';
import { dataOf, make, show, tile, tileOf } from '../lib/dashboards.mjs';

export const scenarios = {
    async several_values_are_chosen_and_a_tile_is_there_for_each(tabs, cluster) {
        const tag = `several${process.pid}`;
        cluster.ingest(
            tag,
            ['a', 'b', 'b', 'c', 'c', 'c'].map((host) => JSON.stringify({ host })),
        );
        const query = `tag=${tag} json host | eval in(host, $host)`;
        const number = { renderer: 'number' };
        const data = dataOf(
            [
                tile(1, 'On $host', query, 0, 0, 4, 4, { ...number, repeat: 'host' }),
                tile(2, 'Together', query, 0, 4, 6, 4, number),
                tile(3, 'Wrong', `tag=${tag} json host==$host`, 6, 4, 6, 4, number),
            ],
            {
                variables: [
                    { name: 'host', kind: 'list', multi: true, options: ['a', 'b', 'c', '<i>'] },
                ],
            },
        );
        const page = await tabs.login(cluster.webservers[0]);
        await show(page, await make(cluster, await tokenOf(page), `Several ${tag}`, data));
        const found = (title, count) =>
            tileOf(page, title)
                .locator('.value')
                .getByText(String(count), { exact: true })
                .waitFor();
        await found('On a', 1);
        await found('On b', 2);
        await found('On c', 3);
        await found('On <i>', 0);
        await found('Together', 6);
        await tileOf(page, 'Wrong').getByText('has several values').waitFor();

        await page.getByRole('button', { name: 'host: All' }).click();
        const choices = page.getByRole('group', { name: 'host' });
        await choices.getByLabel('b').check();
        await choices.getByLabel('c').check();
        await found('Together', 5);
        await tileOf(page, 'On a').waitFor({ state: 'detached' });
        assert.deepEqual(await findings(page, 'choosing'), []);
        await tabs.shot(page, 'dashboard-several');
        await page.keyboard.press('Escape');

        // The link has them; what is edited is the one tile.
        await page.reload();
        await page.getByRole('button', { name: 'host: b, c' }).waitFor();
        await found('On c', 3);
        await page.getByRole('button', { name: 'Edit', exact: true }).click();
        await tileOf(page, 'On $host').waitFor();
        await eventually('one tile', async () => (await page.locator('.tile').count()) === 3);
        await page.getByRole('button', { name: 'Edit On $host', exact: true }).click();
        await page.getByLabel('Repeated').selectOption('Once');
        await page.getByRole('button', { name: 'Apply' }).click();
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await found('On b, c', 5);
    },
};
