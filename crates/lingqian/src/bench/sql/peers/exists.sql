SELECT to_regnamespace('lingqian_bench_peers') IS NOT NULL
