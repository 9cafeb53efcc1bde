import ArgumentParser
import Trainer

/// From whom a heal learns besides its text.
struct HealTeacher: ParsableArguments {
    @Option(
        name: .customLong("teacher"),
        help: ArgumentHelp(
            "Learn from this model's predictions, too: a folder, or parent (that of --parent, else the source that surgery.json names).",
            valueName: "parent|model"))
    var model: String?
    @Option(
        help: ArgumentHelp(
            "The teacher's share α in the loss (1 − α) · cross entropy + α · T² · KL; 0 in a stage leaves it out there.",
            valueName: "share"))
    var teacherWeight = TrainingJob().teacherWeight
    @Option(
        help: ArgumentHelp("T: what both models' logits are divided by for KL.", valueName: "temperature"))
    var teacherTemperature = TrainingJob().teacherTemperature
    @Option(help: "The text on which it teaches: all, or the sources of --replay.")
    var teacherOn = TrainingJob().teacherOn
    @Option(
        help: ArgumentHelp(
            "Behind each run of copied layers, add this weight times the mean square of the difference from the hidden state of the teacher, which must be the parent, to the loss of what is taught, in this share of the first stage's steps (0.05).",
            valueName: "weight[:share]"))
    var teacherHidden: String?
    @Option(
        help: ArgumentHelp(
            "Train new rows of the vocabulary and nothing else: on snippets that the model reads in its old tokens, too, until both readings agree. Of snippets=25 (for each new token) length=50 layer (a third) rate=1e-4 batch=16 epochs=1 what is other, or one of them.",
            valueName: "name=value …"))
    var distilRows: String?
}
