"""The table of cases: each a name, what it does, the counters that have to grow by at least so much, and the attack."""

CASES = []


def case(shows, name=None, **counters):
    """Registers an attack: async def attack(a), which goes on while a.on(). counters: group_name=at least, where the first _ stands for
    a dot; a value below 1 is a share of what the attack says it sent (a.sent)."""

    def register(attack):
        CASES.append((name or attack.__name__, shows, {key.replace("_", ".", 1): least for key, least in counters.items()}, attack))
        return attack

    return register
