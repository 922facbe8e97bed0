def work():
    for _ in range(2000):
        with rx.telemetry.invoke("inference"):
            pass


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
tell(rx.get_session_stats().total_invokes)
