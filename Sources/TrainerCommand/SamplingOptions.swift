import ArgumentParser

/// How tokens are drawn, beside the temperature, which each command begins with another.
struct SamplingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Choose among so many tokens (default: all).", valueName: "count"))
    var topK: Int?
    @Option(
        help: ArgumentHelp(
            "Choose among the likeliest tokens with this probability together (default: 1).",
            valueName: "share"))
    var topP: Double?
    @Option(help: ArgumentHelp("What chance follows from.", valueName: "number")) var seed: UInt64 = 0
}
