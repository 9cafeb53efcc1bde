import ArgumentParser

@main
struct SurgeryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "surgery")
}
