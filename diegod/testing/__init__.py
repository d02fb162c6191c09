"""What plugin authors and our own tests test with: conformance suites, a scriptable backend.

Public. `backend_suite` needs pytest and pytest-asyncio (the extra `diegod[testing]`);
`fake_backend` needs nothing but an event loop, so that it also runs on a virtual clock.
Does not belong here: anything that the product itself imports.
"""
