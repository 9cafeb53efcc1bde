/// What evaluations, runs and benchmarks compute on: the one place where an engine is chosen.
typealias DefaultEngine = CPUEngine
