"""3D Slicer module: segment a volume with `pocket-infer`. docs/integrations.md says how to add it to Slicer."""

import tempfile
from pathlib import Path

import ctk
import qt
import slicer
from pocketnet_call import COMMAND, Failed, segment
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

SETTINGS = "PocketNet"


class PocketNet(ScriptedLoadableModule):
    """What Slicer's list of modules says."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "PocketNet"
        parent.categories = ["Segmentation"]
        parent.contributors = ["PocketNet Suite developers"]
        parent.helpText = "Segments a volume with a trained network of PocketNet Suite. For research only."


class PocketNetWidget(ScriptedLoadableModuleWidget):
    """A volume, a model, the command, and a button."""

    def setup(self):
        """Make the form; model and command are remembered."""
        ScriptedLoadableModuleWidget.setup(self)
        form = qt.QFormLayout()
        self.layout.addLayout(form)
        self.volume = slicer.qMRMLNodeComboBox()
        self.volume.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        self.volume.addEnabled = self.volume.removeEnabled = False
        self.volume.setMRMLScene(slicer.mrmlScene)
        self.model = qt.QLineEdit(slicer.util.settingsValue(f"{SETTINGS}/model", "hippocampus"))
        self.command = ctk.ctkPathLineEdit()
        self.command.currentPath = slicer.util.settingsValue(f"{SETTINGS}/command", COMMAND)
        self.button = qt.QPushButton("Segment")
        for name, widget in (("Volume", self.volume), ("Model folder or name", self.model),
                             ("pocket-infer", self.command), ("", self.button)):
            form.addRow(name, widget)
        self.button.connect("clicked()", self.run)
        self.layout.addStretch(1)

    def run(self):
        """Segment the chosen volume; an error is shown as the command says it."""
        settings = qt.QSettings()
        settings.setValue(f"{SETTINGS}/model", self.model.text)
        settings.setValue(f"{SETTINGS}/command", self.command.currentPath)
        try:
            with slicer.util.WaitCursor():
                PocketNetLogic().segment(self.volume.currentNode(), self.model.text, self.command.currentPath)
        except Failed as error:
            slicer.util.errorDisplay(str(error))


class PocketNetLogic(ScriptedLoadableModuleLogic):
    """What the button does, for scripts too: `PocketNetLogic().segment(volume, "hippocampus")`."""

    def segment(self, volume, model, command=COMMAND):
        """Segment a volume node.

        Args:
            volume: A scalar volume node.
            model: A model folder or the name of one.
            command: Path of `pocket-infer`, or its name on PATH.

        Returns:
            A new segmentation node.

        Raises:
            Failed: There is no volume or no such command, or the command ended with an error.
        """
        if volume is None:
            raise Failed("Choose a volume first.")
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "scan.nii.gz"
            if not slicer.util.exportNode(volume, str(image)):
                raise Failed(f"The volume {volume.GetName()} cannot be written as NIfTI.")
            found = segment(command, model, image, Path(folder) / "out", slicer.util.startupEnvironment())
            colours = slicer.util.loadColorTable(str(found.colours))
            node = slicer.util.loadSegmentation(str(found.label_map), {
                "name": f"{volume.GetName()} segmentation", "colorNodeID": colours.GetID()})
        if found.said:
            slicer.util.warningDisplay(found.said)
        return node
