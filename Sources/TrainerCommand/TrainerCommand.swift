import ArgumentParser
import CommandLineSupport

@main
struct TrainerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trainer",
        abstract: "Evaluate a language model, heal it by continued pre-training, generate and tokenize text.",
        discussion: """
            A model is a folder as Hugging Face writes it (config.json, safetensors, tokenizer.json), or a preset of \
            KerasHub. It is never changed; results go to a folder of their own.

            Exit codes: 0 done; 1 the run failed; 2 the input is not valid; 64 the command line is wrong; \
            75 stopped after --max-time, and kept; 128 + n stopped by signal n after saving, as 130 by Ctrl-C and 143 by SIGTERM.
            """,
        version: Version.current,
        subcommands: [
            Select.self, Tokenize.self, Replay.self, Mix.self, Heal.self, Adopt.self, HandOffCommand.self,
            Plan.self,
            Eval.self, Analyze.self, Generate.self, Report.self, Export.self, Bench.self,
        ])
}
