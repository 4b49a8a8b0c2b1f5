// The window of tea_timer.py: its buttons call coroutines.
import QtQuick 2.15
import QtQuick.Controls 2.15
import QtQuick.Layouts 1.15
import QtQuick.Window 2.15

Window {
    id: window
    required property var kitchen // the object of Python
    title: "Tea timer"
    width: 340
    height: 270
    visible: true
    color: "#f6f1e7"

    ColumnLayout {
        anchors.fill: parent
        anchors.margins: 20
        spacing: 16

        // A cup, in which the tea gets darker while it draws.
        Item {
            Layout.alignment: Qt.AlignHCenter
            Layout.preferredWidth: 120
            Layout.preferredHeight: 100

            Rectangle { // the handle
                x: 92; y: 18
                width: 56; height: 56
                radius: 28
                color: "transparent"
                border { color: "#b9a98f"; width: 8 }
            }
            Rectangle {
                anchors.fill: parent
                radius: 22
                color: "white"
                border { color: "#b9a98f"; width: 4 }
            }
            Rectangle {
                anchors { fill: parent; margins: 10; topMargin: 24 }
                radius: 14
                color: Qt.rgba(0.64, 0.31, 0.11, 0.1 + 0.9 * window.kitchen.strength)
            }
        }

        Label {
            Layout.alignment: Qt.AlignHCenter
            text: window.kitchen.status
            color: "#4a3c2a"
            font.pixelSize: 16
        }

        RowLayout {
            Layout.alignment: Qt.AlignHCenter
            spacing: 8

            Button {
                objectName: "green"
                text: "Green tea"
                onClicked: window.kitchen.brew("green tea", 1.5)
            }
            Button {
                objectName: "black"
                text: "Black tea"
                onClicked: window.kitchen.brew("black tea", 3)
            }
            Button {
                objectName: "stop"
                text: "Stop"
                enabled: window.kitchen.isBrewing
                onClicked: window.kitchen.stop()
            }
        }
    }
}
