// How much work the page makes, in milliseconds of a processor: the same however busy the machine is.

/** The longest task of a page's main thread while `doing` goes on. */
export async function longestTask(page, doing) {
    const browser = page.context().browser();
    await browser.startTracing(page, { categories: ['toplevel'] });
    await doing();
    const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
    const threads = new Set(
        traceEvents
            .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
            .map(({ pid, tid }) => `${pid} ${tid}`),
    );
    const tasks = traceEvents.filter(
        ({ name, pid, tid }) =>
            name === 'ThreadControllerImpl::RunTask' && threads.has(`${pid} ${tid}`),
    );
    if (tasks.length === 0) {
        throw new Error('no task was seen');
    }
    return Math.max(...tasks.map(({ tdur }) => tdur ?? 0)) / 1000;
}

/** What the main thread has done, from the navigation on, when a page has been painted first. */
export async function workToPaint(page) {
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    await session.send('Network.setCacheDisabled', { cacheDisabled: true });
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    await page.reload();
    await page.waitForFunction(
        () => performance.getEntriesByName('first-contentful-paint').length > 0,
    );
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
}
